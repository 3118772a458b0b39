"""A model that misbehaves as a test asks it to, and the runtime that serves it."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from dataclasses import dataclass, field

from heldout_server.domain import Ending, ModelResponse, SecretText, TrustClass
from heldout_server.errors import EndpointError, EndpointUnavailable, FailedAlone, RuntimeDied


@dataclass
class FakeModel:
    """Answer each request with its own text. ``poison`` texts end the process, ``mute`` ones fail alone.

    Attributes:
        hold: when set, requests wait for :attr:`release`; the process can be ended meanwhile.
    """

    poison: set = field(default_factory=set)
    mute: set = field(default_factory=set)
    slow: set = field(default_factory=set)  # texts that fail even with the endpoint to themselves
    starts: int = 0
    refuse_starts: int = 0
    asked: Counter = field(default_factory=Counter)
    away: set = field(default_factory=set)  # texts for which the endpoint as such is away
    conversations: list = field(default_factory=list)
    together: int = 0
    most_together: int = 0
    hold: bool = False
    release: asyncio.Event = field(default_factory=asyncio.Event)
    arrived: asyncio.Event = field(default_factory=asyncio.Event)
    arrivals_wanted: int = 1
    stall_text: str = ""
    asked_again: list = field(default_factory=list)  # (text, requests open with it, itself included)


class FakeRuntime:
    engine = "scripted"
    trust = TrustClass.CONTAINED
    version = "1.2"
    dialect = "openai"
    filters = ()
    width = 64
    start_s = 0.0

    def __init__(self, model):
        self.model = model

    @contextlib.asynccontextmanager
    async def serve(self, checkpoint, *, patient=True):
        self.model.starts += 1
        if self.model.refuse_starts:
            self.model.refuse_starts -= 1
            raise EndpointError("does not come up")
        yield FakeModelClient(self.model)


class FakeModelClient:
    def __init__(self, model):
        self.model = model
        self.dead = asyncio.Event()

    async def complete(self, messages, sampling, *, timeout_s):
        model, text = self.model, messages[-1].content.reveal()
        model.conversations.append(tuple(messages))
        model.asked[text] += 1
        model.together += 1
        if model.asked[text] > 1:
            model.asked_again.append((text, model.together))
        model.most_together = max(model.most_together, model.together)
        if sum(model.asked.values()) >= model.arrivals_wanted:
            model.arrived.set()
        try:
            await asyncio.sleep(0)
            if text in model.poison:
                self.dead.set()
            if model.hold or text == model.stall_text:
                await model.release.wait()
            if self.dead.is_set():
                raise RuntimeDied("the process ended")
            if text in model.away:
                raise EndpointUnavailable("it is away")
            if text in model.slow:
                raise FailedAlone("no answer, while all others waited")
            if text in model.mute:
                raise EndpointError("no answer")
            return ModelResponse(text=SecretText(f"answer to {text}"), ending=Ending.STOP)
        finally:
            model.together -= 1
