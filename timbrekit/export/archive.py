"""A model file as an archive: looked into without running anything, and put together the same way every time.

A TorchScript file is a zip: pickled structure and constants, which libtorch reads without Python, and the model's
code as text. Everything lies in one folder, the first one in the archive.
"""

import io
import pickletools
import re
import zipfile
from collections.abc import Mapping
from pathlib import Path

from timbrekit.errors import ModelFileError, first_line

MAX_READ_BYTES = 16 * 1024 * 1024  # of a file, and of all that it unpacks to; the published models have 30 KB
MAX_ENTRIES = 1000
ALIGNMENT = 64  # bytes; where libtorch lets tensors begin in the file, so that they can be used in place
ZIP_DATE = (1980, 1, 1, 0, 0, 0)  # the zip format's first day, so that the date of writing changes no byte


class NotAModel(ModelFileError):
    """Why a file is no TorchScript archive: one sentence that does not name the file."""


def read_file(path: Path) -> bytes:
    """The file's bytes.

    Raises:
        NotAModel: it is empty or far too large.
        ModelFileError: there is no such file, or it cannot be read.
    """
    try:
        if path.is_dir():
            raise ModelFileError(f"{path} is a folder, not a model file.")
        if not path.is_file():
            raise ModelFileError(f"There is no file {path}. Check the name and the folder.")
        size = path.stat().st_size
        if size > MAX_READ_BYTES:
            raise NotAModel(
                f"The file has {size / 2**20:.0f} MiB; a model for the plug-in is far smaller (at most "
                f"{MAX_READ_BYTES // 2**20} MiB)."
            )
        content = path.read_bytes()
    except OSError as error:
        raise ModelFileError(f"Cannot read {str(path)[:200]}: {error.strerror or error}.") from error
    if not content:
        raise NotAModel("The file is empty. Copy or download it again.")
    return content


def unpack(content: bytes) -> dict[str, bytes]:
    """The archive's entries by name, without the folder that they all lie in.

    Raises:
        NotAModel: damaged, too large, made to be read differently by different programs, or simply something else.
    """
    if not content.startswith(b"PK\x03\x04"):
        raise NotAModel("This is not a model file: a model for the plug-in is a TorchScript archive.")
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            records = archive.infolist()
            size = sum(record.file_size for record in records)
            if len(records) > MAX_ENTRIES or size > MAX_READ_BYTES:
                raise NotAModel(
                    f"The archive unpacks to {size / 2**20:.0f} MiB in {len(records)} parts; a model for the plug-in "
                    f"is far smaller (at most {MAX_READ_BYTES // 2**20} MiB in {MAX_ENTRIES} parts)."
                )
            # libtorch takes no notice of upper and lower case, nor of anything outside the first folder.
            if len({record.filename.lower() for record in records}) < len(records):
                raise NotAModel("The archive holds two parts of the same name.")
            folder = records[0].filename.partition("/")[0] + "/" if records else ""
            entries = {
                record.filename.removeprefix(folder): archive.read(record)
                for record in records
                if record.filename.startswith(folder)
            }
    except NotAModel:
        raise
    except Exception as error:  # zipfile fails in a dozen ways on bytes that are not what they say they are
        raise NotAModel(
            f"The archive is damaged ({first_line(error)}). Copy or download the file again."
        ) from error
    if "data.pkl" in entries and "constants.pkl" not in entries:
        raise NotAModel(
            "This holds weights only (a state dict or a whole Python model), and the plug-in needs TorchScript. "
            "Export the model with timbrekit, or with torch.jit.script and torch.jit.save."
        )
    if "data.pkl" not in entries or "constants.pkl" not in entries:
        raise NotAModel("This is an archive, but not a TorchScript model.")
    for name in ("data.pkl", "constants.pkl"):
        _check_pickle(entries[name])
    if any(b"__setstate__" in text for name, text in entries.items() if name.lower().endswith(".py")):
        raise NotAModel("The model runs code of its own when it is loaded; the plug-in's models do not.")
    return entries


def _check_pickle(pickled: bytes) -> None:
    """Read the pickle's instructions without following them.

    libtorch follows them without Python, and stops at those that it does not know. But it makes room for as many
    remembered values as the largest index says: up to 64 GB for four damaged bytes.
    """
    try:
        for opcode, argument, _ in pickletools.genops(pickled):
            if opcode.name.endswith("PUT") and argument > len(pickled):
                raise ValueError(f"a value is remembered as number {argument}")
    except Exception as error:  # pickletools, too, fails in several ways
        raise NotAModel(
            f"The archive is damaged ({first_line(error)}). Copy or download the file again."
        ) from error


def pack(saved: bytes, instead: Mapping[str, bytes] | None = None) -> bytes:
    """What ``torch.jit.save`` wrote, as the same bytes for the same model on every machine and at every time.

    Left out: the debug records, which hold the source paths of the machine that wrote it; the identifier, which is
    made of them; and the number that torch adds to the name of a class each time it freezes one. Tensors stay
    uncompressed and aligned, as libtorch writes them.

    Args:
        saved: the archive.
        instead: other content for parts of it, by name within the archive's folder.
    """
    instead = instead or {}
    output = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(saved)) as source, zipfile.ZipFile(output, "w") as target:
        for item in source.infolist():
            if item.filename.endswith((".debug_pkl", "/.data/serialization_id")):
                continue
            content = instead.get(item.filename.partition("/")[2], source.read(item))
            if item.filename.endswith((".py", "/data.pkl")):
                content = re.sub(rb"\.___torch_mangle_\d+\b", b"", content)
            record = zipfile.ZipInfo(re.sub(r"/___torch_mangle_\d+\.py$", ".py", item.filename), ZIP_DATE)
            record.create_system = 3  # else Windows writes another byte
            header = 30 + len(record.filename.encode()) + 4
            padding = -(output.tell() + header) % ALIGNMENT
            record.extra = b"FB" + padding.to_bytes(2, "little") + b"Z" * padding
            target.writestr(record, content)
    return output.getvalue()
