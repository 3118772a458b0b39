"""Commands that bring files of prompts into the bank."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO

import typer

from heldout.cli.help import examples
from heldout.cli.session import Json, Session, UsageProblem, session_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from heldout.bank_files import ReadOptions
    from heldout.bank_model import PromptRow

IntentOption = Annotated[
    str, typer.Option("--intent", metavar="harmful|benign", help="Intent of rows that say nothing of it.")
]
CategoryOption = Annotated[
    str, typer.Option("--category", metavar="NAME", help="Category of rows that say nothing of it.")
]
MapOption = Annotated[
    str,
    typer.Option(
        "--category-map",
        metavar="FILE|harmbench",
        help='Rename categories: TOML lines such as "Self Harm" = "self-harm", or into those of HarmBench.',
    ),
]
IgnoreOption = Annotated[
    list[str] | None, typer.Option("--ignore-column", metavar="NAME", help="Leave a column out; may be repeated.")
]


def register(bank: typer.Typer) -> None:
    """Add the commands to those of the bank."""
    bank.command(
        "import",
        epilog=examples(
            "bank import behaviors.csv",
            "bank import behaviors.csv --category-map harmbench --skip-bad",
            note="Columns of HarmBench, JailbreakBench, AdvBench, StrongREJECT, XSTest, Inspect, PyRIT and promptfoo"
            " are recognised; ours are prompt, intent and category.",
        ),
    )(import_prompts)
    bank.command("seal", epilog=examples("bank seal --to heldout-pack-key-… prompts.csv"))(seal)
    bank.command("pack-key", epilog=examples("bank pack-key"))(show_pack_key)


def import_prompts(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="JSONL, CSV, Parquet, YAML or a list of prompts (.txt); plain or gzip.")],
    *,
    intent: IntentOption = "",
    category: CategoryOption = "",
    category_map: MapOption = "",
    ignore_columns: IgnoreOption = None,
    skip_bad: Annotated[bool, typer.Option("--skip-bad", help="Leave bad rows out instead of importing none.")] = False,
    as_json: Json = False,
) -> None:
    """Import a file of prompts, all or none. A sealed pack goes as it is, and is opened inside the vault."""
    from heldout.packs import is_pack  # noqa: PLC0415 - help must be fast

    if is_pack(file):
        if intent or category or category_map or ignore_columns:
            raise UsageProblem("a sealed pack says everything itself: say it to heldout bank seal")
        _import_pack(context, file, skip_bad=skip_bad, as_json=as_json)
        return
    session_of(context).profile()  # a wrong one is said before a long file is read
    options = read_options(intent=intent, category=category, category_map=category_map, ignore_columns=ignore_columns)
    _import_rows(context, file, options, skip_bad=skip_bad, as_json=as_json)


def _import_rows(context: typer.Context, file: Path, options: ReadOptions, *, skip_bad: bool, as_json: bool) -> None:
    from heldout.bank_files import read_rows  # noqa: PLC0415 - help must be fast
    from heldout.bank_model import BadRow  # noqa: PLC0415 - likewise
    from heldout.cli.progress import progress_bar  # noqa: PLC0415 - likewise
    from heldout.cli.screens.bank import import_page, not_sent_page  # noqa: PLC0415 - likewise
    from heldout.errors import BankFileError  # noqa: PLC0415 - likewise

    session = session_of(context)
    # The whole file is read before anything is sent: a bad row at its end costs no import.
    total, bad = 0, []
    recognised: list[str] = []
    for row in read_rows(file, options, on_recognised=recognised.append):
        if isinstance(row, BadRow):
            bad.append(row)
        else:
            total += 1
    if not total or (bad and not skip_bad):
        session.show(not_sent_page(bad, name=file.name, columns=recognised[0]), as_json=as_json)
        raise typer.Exit(1)

    def rows() -> Iterator[PromptRow]:
        for row in read_rows(file, options):
            if not isinstance(row, BadRow):
                yield row
            elif not skip_bad:
                raise BankFileError(f"{file.name} line {row.line}: changed while it was read")

    with session.client() as client, progress_bar("importing", total) as report:
        sent = 0

        def on_sent(count: int) -> None:
            nonlocal sent
            sent += count
            report(sent)

        done = client.bank.import_prompts(rows(), skip_bad=skip_bad, on_sent=on_sent)
    session.show(import_page(done, skipped=bad, name=file.name, columns=recognised[0]), as_json=as_json)
    if done.bad and not skip_bad:
        raise typer.Exit(1)


def _import_pack(context: typer.Context, file: Path, *, skip_bad: bool, as_json: bool) -> None:
    from heldout.cli.progress import progress_bar  # noqa: PLC0415 - help must be fast
    from heldout.cli.screens.bank import import_page  # noqa: PLC0415 - likewise
    from heldout.packs import read_frames  # noqa: PLC0415 - likewise

    session = session_of(context)
    with session.client() as client, progress_bar("importing", file.stat().st_size) as report:
        sent = 0

        def on_sent(count: int) -> None:
            nonlocal sent
            sent += count
            report(sent)

        done = client.bank.import_pack(read_frames(file), skip_bad=skip_bad, on_sent=on_sent)
    session.show(import_page(done, name=file.name), as_json=as_json)
    if done.bad and not skip_bad:
        raise typer.Exit(1)


def seal(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="A file of prompts, as for import.")],
    *,
    to: Annotated[str, typer.Option("--to", metavar="KEY", help="The pack key; else the one of the profile.")] = "",
    out: Annotated[Path | None, typer.Option("--out", help="Where to write; else beside it, as .sealed.")] = None,
    intent: IntentOption = "",
    category: CategoryOption = "",
    category_map: MapOption = "",
    ignore_columns: IgnoreOption = None,
    skip_bad: Annotated[bool, typer.Option("--skip-bad", help="Leave bad rows out instead of sealing none.")] = False,
    as_json: Json = False,
) -> None:
    """Encrypt a file of prompts so that only the appliance can open it. Needs no network."""
    from heldout.bank_files import read_rows  # noqa: PLC0415 - help must be fast
    from heldout.bank_model import BadRow  # noqa: PLC0415 - likewise
    from heldout.cli.screens.bank import bad_row_lines, not_sent_page, recognised_lines  # noqa: PLC0415 - likewise
    from heldout.cli.screens.imports import sealed_page  # noqa: PLC0415 - likewise
    from heldout.packs import fingerprint, seal_rows  # noqa: PLC0415 - likewise

    session = session_of(context)
    if not file.is_file():
        raise UsageProblem(f"{file}: {'is not a plain file' if file.exists() else 'no such file'}")
    key = _pack_key(session, to)
    options = read_options(intent=intent, category=category, category_map=category_map, ignore_columns=ignore_columns)
    bad: list[BadRow] = []
    recognised: list[str] = []
    count = 0

    def rows() -> Iterator[PromptRow]:
        nonlocal count
        for row in read_rows(file, options, on_recognised=recognised.append):
            if isinstance(row, BadRow):
                bad.append(row)
            else:
                count += 1
                yield row

    pack = out if out is not None else file.with_name(file.name.split(".")[0] + ".sealed")
    with _new_file(pack) as target:
        for piece in seal_rows(rows(), key):
            target.write(piece)
        nothing = not count or (bool(bad) and not skip_bad)
        if nothing:
            session.show(not_sent_page(bad, name=file.name, columns=recognised[0], done="sealed"), as_json=as_json)
            raise typer.Exit(1)
    page = sealed_page(
        pack=pack.name,
        rows=count,
        bad=bad,
        recognised=[*recognised_lines(file.name, recognised[0]), *bad_row_lines(bad)],
        fingerprint=fingerprint(key),
    )
    session.show(page, as_json=as_json)


def show_pack_key(context: typer.Context, as_json: Json = False) -> None:
    """Show the key to which packs are sealed, and check it against the profile."""
    from heldout.cli.screens.imports import pack_key_page  # noqa: PLC0415 - help must be fast
    from heldout.errors import VerificationError  # noqa: PLC0415 - likewise
    from heldout.packs import fingerprint, format_key  # noqa: PLC0415 - likewise

    session = session_of(context)
    profile = session.profile()
    with session.connector(profile) as client:
        key = client.bank.pack_key()
    if profile.pack_key and key != profile.pack_key:
        raise VerificationError("the appliance names another pack key than your profile pins: do not seal to it")
    page = pack_key_page(key=format_key(key), fingerprint=fingerprint(key), pinned=bool(profile.pack_key))
    session.show(page, as_json=as_json)


def _pack_key(session: Session, named: str) -> bytes:
    from heldout.packs import PackKeyError, parse_key  # noqa: PLC0415 - help must be fast

    if named:
        try:
            return parse_key(named)
        except PackKeyError as error:
            raise UsageProblem(f"--to {error}") from None
    if session.profile_path is None:
        raise UsageProblem("to which appliance? Pass --to KEY, or a profile that pins its pack key")
    key = session.profile().pack_key
    if not key:
        raise UsageProblem("the profile pins no pack key: pass --to KEY (heldout bank pack-key shows it)")
    return key


@contextlib.contextmanager
def _new_file(path: Path) -> Iterator[BinaryIO]:
    """Open a file that is not there yet; what fails leaves none."""
    try:
        file = path.open("xb")
    except FileExistsError:
        raise UsageProblem(f"{path.name} is there already: name another with --out") from None
    try:
        with file:
            yield file
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def read_options(*, intent: str, category: str, category_map: str, ignore_columns: list[str] | None) -> ReadOptions:
    """Return what was said about a file.

    Raises:
        UsageProblem: an option has no such value.
        BankFileError: the map of categories cannot be read.
    """
    from heldout.bank_files import ReadOptions  # noqa: PLC0415 - help must be fast
    from heldout.bank_files.fields import IDENTIFIER, slug  # noqa: PLC0415 - likewise
    from heldout.bank_files.options import read_category_map  # noqa: PLC0415 - likewise
    from heldout.bank_model import Intent  # noqa: PLC0415 - likewise

    if intent and intent not in set(Intent):
        raise UsageProblem("--intent is harmful or benign")
    if category and IDENTIFIER.fullmatch(category) is None:
        like = slug(category)
        raise UsageProblem(f"--category must be an identifier{f', such as {like}' if like else ''}")
    return ReadOptions(
        intent=Intent(intent) if intent else None,
        category=category,
        categories=read_category_map(category_map) if category_map else {},
        ignored=frozenset(ignore_columns or ()),
    )
