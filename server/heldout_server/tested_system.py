"""What a manifest says of the tested system, in the words of the contract: the same in a run and in a release."""

from __future__ import annotations

from typing import Final

from heldout_proto.v1 import findings_pb2
from heldout_server.domain import Manifest, TrustClass

MILLI: Final = 1000
TRUST_NUMBERS: Final = {
    TrustClass.CONTAINED: findings_pb2.TRUST_CLASS_CONTAINED,
    TrustClass.ATTESTED: findings_pb2.TRUST_CLASS_ATTESTED,
    TrustClass.EXPOSED: findings_pb2.TRUST_CLASS_EXPOSED,
}


def describe_tested_system(manifest: Manifest) -> findings_pb2.TestedSystem:
    """Return what is tested, exactly; known before the run from the manifest alone."""
    sampling = manifest.sampling
    return findings_pb2.TestedSystem(
        checkpoint=manifest.checkpoint,
        line=manifest.line,
        checkpoint_digest=manifest.checkpoint_digest,
        runtime=manifest.runtime,
        trust=TRUST_NUMBERS[manifest.trust],
        temperature_milli=round(sampling.temperature * MILLI),
        top_p_milli=round(sampling.top_p * MILLI),
        max_tokens=sampling.max_tokens,
        attempts=manifest.attempts,
        engine_version=manifest.engine_version,
        dialect=manifest.dialect,
        top_k=sampling.top_k,
        min_p_milli=round(sampling.min_p * MILLI),
        repetition_penalty_milli=round(sampling.repetition_penalty * MILLI),
        reasoning_off=sampling.reasoning == "off",
        reasoning_effort="" if sampling.reasoning in {"engine", "off"} else sampling.reasoning,
        completion=sampling.mode == "completion",
        precision=manifest.precision,
        chat_template_digest=manifest.chat_template_digest,
        system_profile=manifest.system_profile,
        system_digest=manifest.system_digest,
        filters=manifest.filters,
        burnt_prompts=manifest.burnt_prompts,
        base=manifest.base,
        base_digest=manifest.base_digest,
    )
