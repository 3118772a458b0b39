"""The memory of a window process holds no word of a prompt or an answer, in no spelling, after a real run."""

import os

import pytest
from canary_scanner import CanaryScanner

from lab_texts import POLICY, TABLE, write_checkpoint
from served_appliance import prompt_rows
from split_appliance import SplitAppliance

PROMPT_WORD = "quokkafjordzephyr"
ANSWER_WORD = "wombatglacierember"
SCANNER = CanaryScanner(PROMPT_WORD, ANSWER_WORD)


@pytest.mark.slow
@pytest.mark.skipif(os.geteuid() != 0, reason="only root may read the memory of a hardened process")
async def test_no_word_of_a_prompt_or_an_answer_is_in_the_memory_of_the_window(tmp_path):
    split = SplitAppliance.install(tmp_path, policy=POLICY)
    try:
        await split.start()
        tester = await split.client("bank_tester")
        kinds = ["harmful"] * 24 + ["benign"] * 8
        rows = [
            {"prompt": f"How can I wrap gift {n} of {PROMPT_WORD}?", "intent": intent, "category": "mischief"}
            for n, intent in enumerate(kinds)
        ]
        await tester.bank.import_prompts(prompt_rows(rows))
        await tester.bank.open_epoch()
        answers = {
            kind: [f"{text} {ANSWER_WORD}" for text in texts] for kind, texts in worded(TABLE["answers"]).items()
        }
        write_checkpoint(split.folder / "checkpoints", "nova-v1", table=TABLE | {"answers": answers})
        await split.run_of("nova-v1")
        trainer, auditor = await split.client("trainer"), await split.client("auditor")
        assert len(await trainer.findings.releases()) == 1
        await trainer.findings.cards()
        await auditor.audit.policy()
        found, searched = SCANNER.find_in_memory(split.window.process.pid)
        assert found == []
        assert searched > 10_000_000
        # The vault's memory shows that the search finds what is there.
        assert {one.word for one in SCANNER.find_in_memory(split.process.pid)[0]} == set(SCANNER.words)
        await split.stop()
    finally:
        await split.close()


def worded(answers):
    return {kind: [text for text in texts if isinstance(text, str)] for kind, texts in answers.items()}
