"""Write the headers of weights by hand, so that they can be wrong in any way."""

import json
import struct

STRING, ARRAY, UINT32 = 8, 9, 4


def safetensors(header, data=b""):
    """Return a safetensors file; ``header`` is JSON-able, or the very bytes."""
    if not isinstance(header, bytes):
        header = json.dumps(header).encode()
    return len(header).to_bytes(8, "little") + header + data


def tensor(dtype="BF16", shape=(4,), offsets=(0, 8)):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": list(offsets)}


def text(value):
    return struct.pack("<Q", len(value)) + value


def string_key(key, value):
    return text(key) + struct.pack("<I", STRING) + text(value)


def number_key(key, value):
    return text(key) + struct.pack("<II", UINT32, value)


def strings_key(key, values):
    return text(key) + struct.pack("<IIQ", ARRAY, STRING, len(values)) + b"".join(map(text, values))


def numbers_key(key, values):
    return text(key) + struct.pack("<IIQ", ARRAY, UINT32, len(values)) + struct.pack(f"<{len(values)}I", *values)


def info(name=b"weights", shape=(4,), kind=0, offset=0):
    return text(name) + struct.pack(f"<I{len(shape)}QIQ", len(shape), *shape, kind, offset)


def gguf(keys=(), tensors=(), data=b"", *, magic=b"GGUF", version=3, alignment=32, counts=None):
    """Return a GGUF file; ``counts`` are those of tensors and keys that it claims, if not the true ones."""
    claimed = (len(tensors), len(keys)) if counts is None else counts
    head = magic + struct.pack("<IQQ", version, *claimed) + b"".join(keys) + b"".join(tensors)
    return head + bytes(-len(head) % alignment) + data
