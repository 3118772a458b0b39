"""Turn a staged checkpoint into an endpoint, and speak to it.

A runtime is a child process without a network, without keys and without a database; all it has is the staged folder and
a Unix socket. The room refuses to start one whose network it cannot take away (unless the config says so), to follow
a redirect, and to take half an answer for an answer.
"""

from heldout_server.runtimes.catalogue import open_runtimes
from heldout_server.runtimes.client import OpenAIClient, Resilience
from heldout_server.runtimes.endpoint_runtime import EndpointRuntime
from heldout_server.runtimes.llamacpp_runtime import LlamaCppRuntime
from heldout_server.runtimes.scripted_runtime import ScriptedRuntime
from heldout_server.runtimes.system_prompt import read_system_prompt

__all__ = [
    "EndpointRuntime",
    "LlamaCppRuntime",
    "OpenAIClient",
    "Resilience",
    "ScriptedRuntime",
    "open_runtimes",
    "read_system_prompt",
]
