"""Generate the Python code of the contract, or check that the committed code is what would be generated.

``protovalidate`` ships its rules as a descriptor only, so a descriptor set is built here from it and from protoc's
well-known types, and protoc reads its imports from there. Generated code then imports nothing of ``buf``.

Usage: ``python scripts/generate_proto.py [--check | --image FILE]``
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import grpc_tools
from google.protobuf import descriptor_pb2
from grpc_tools import protoc
from protovalidate._gen.buf.validate import validate_pb

ROOT = Path(__file__).resolve().parent.parent / "proto"
SOURCES = sorted(str(path.relative_to(ROOT)) for path in ROOT.glob("heldout_proto/v1/*.proto"))
WELL_KNOWN = ("descriptor", "duration", "timestamp", "field_mask")


def _imports(folder: Path) -> Path:
    """Write the descriptor set of everything that our files import, and return its path."""
    include = Path(grpc_tools.__file__).parent / "_proto"
    known = folder / "known.binpb"
    names = [f"google/protobuf/{name}.proto" for name in WELL_KNOWN]
    _protoc(f"-I{include}", f"--descriptor_set_out={known}", "--include_imports", *names)
    files = descriptor_pb2.FileDescriptorSet.FromString(known.read_bytes())
    files.file.append(descriptor_pb2.FileDescriptorProto.FromString(validate_pb._DESC.proto.to_binary()))  # noqa: SLF001 - the package publishes no other way to its descriptor
    path = folder / "imports.binpb"
    path.write_bytes(files.SerializeToString())
    return path


def _protoc(*arguments: str) -> None:
    if protoc.main(["protoc", *arguments]) != 0:
        sys.exit("protoc failed: see above")


def _generate(target: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        imports = _imports(Path(folder))
        _protoc(
            f"-I{ROOT}",
            f"--descriptor_set_in={imports}",
            f"--python_out={target}",
            f"--pyi_out={target}",
            f"--grpc_python_out={target}",
            *SOURCES,
        )


def _write_image(path: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        imports = _imports(Path(folder))
        _protoc(
            f"-I{ROOT}",
            f"--descriptor_set_in={imports}",
            f"--descriptor_set_out={path}",
            "--include_imports",
            "--include_source_info",
            *SOURCES,
        )


def _check() -> None:
    with tempfile.TemporaryDirectory() as folder:
        _generate(Path(folder))
        fresh = {path.name: path.read_bytes() for path in Path(folder).glob("heldout_proto/v1/*_pb2*")}
    committed = {path.name: path.read_bytes() for path in ROOT.glob("heldout_proto/v1/*_pb2*")}
    drifted = sorted(name for name in fresh | committed if fresh.get(name) != committed.get(name))
    if drifted:
        sys.exit(f"generated code differs from the .proto files: {', '.join(drifted)}; run make proto")


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description="Generate the Python code of the contract.")
    parser.add_argument("--check", action="store_true", help="fail if the committed code differs")
    parser.add_argument("--image", type=Path, help="write a descriptor image for buf instead")
    arguments = parser.parse_args()
    if arguments.check:
        _check()
    elif arguments.image:
        _write_image(arguments.image)
    else:
        _generate(ROOT)


if __name__ == "__main__":
    main()
