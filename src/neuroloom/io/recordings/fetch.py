"""Public recordings, downloaded only when asked for, each held against its checksum."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from urllib.parse import unquote, urlparse
from urllib.request import url2pathname, urlopen

from neuroloom.core.errors import ConfigError, DataError, RunError
from neuroloom.core.files import digest, write_atomic

MIRROR = "NEUROLOOM_MIRROR"
PHYSIONET = "https://physionet.org/files/eegmmidb/1.0.0/"
_TIMEOUT_S = 15.0
_SUBJECTS, _RUNS = range(1, 110), range(1, 15)


def fetch_eegbci(
    subject: int,
    runs: list[int],
    folder: Path,
    base_url: str | None = None,
    checksums: dict[str, str] | None = None,
) -> list[Path]:
    """Get runs of PhysioNet's EEG Motor Movement/Imagery Dataset through MNE.

    Files that are in `folder` already and whole are not fetched again.

    Parameters
    ----------
    subject, runs
        1 to 109; 1 to 14 (3, 5, 7 … executed, 4, 6, 8 … imagined movements).
    folder
        Where the `S001R06.edf` go.
    base_url
        A mirror (http(s)://, file:// or a plain folder) that holds `S001/S001R06.edf` or
        `S001R06.edf`; else the environment variable NEUROLOOM_MIRROR; else PhysioNet.
    checksums
        "S001/S001R06.edf" -> SHA-256; those that MNE ships if not given.

    Raises
    ------
    RunError
        If the server cannot be reached or a file lacks there.
    DataError
        If a file that came does not have its checksum; it is not kept.

    References
    ----------
    Schalk et al. 2004, doi:10.1109/TBME.2004.827072; Goldberger et al. 2000.

    Examples
    --------
    >>> fetch_eegbci(1, [6, 10, 14], Path("eegbci"))  # doctest: +SKIP
    """
    for value, allowed, what in [
        (subject, _SUBJECTS, "subject"),
        *((r, _RUNS, "run") for r in runs),
    ]:
        if value not in allowed:
            raise ConfigError(f"eegbci has the {what}s {allowed[0]} to {allowed[-1]}, got {value}.")
    sums = _shipped() if checksums is None else checksums
    base = base_url or os.environ.get(MIRROR) or PHYSIONET
    names = [f"S{subject:03d}/S{subject:03d}R{run:02d}.edf" for run in runs]
    return [_fetch(name, Path(folder), base, sums[name]) for name in names]


def _fetch(name: str, folder: Path, base: str, checksum: str) -> Path:
    target = folder / Path(name).name
    if target.is_file() and digest(target) == checksum:
        return target
    return write_atomic(target, lambda partial: _get(name, partial, base, checksum))


def _get(name: str, partial: Path, base: str, checksum: str) -> None:
    local = _local(base)
    if local is not None:
        _copy(name, partial, local)
    elif base == PHYSIONET:
        _through_mne(name, partial)
    else:
        _download(f"{base.rstrip('/')}/{name}", partial)
    found = digest(partial)
    if found != checksum:
        raise DataError(
            f"{name} from {base}: expected the SHA-256 {checksum[:12]}…, got {found[:12]}…; the "
            "file was not kept. Try again, or another mirror."
        )


def _local(base: str) -> Path | None:
    """Return the folder that `base` names, None for a web address."""
    parts = urlparse(base)
    if parts.scheme == "file":
        return Path(url2pathname(unquote(parts.path)))
    return None if parts.scheme in ("http", "https") else Path(base).expanduser()


def _copy(name: str, partial: Path, mirror: Path) -> None:
    for place in (mirror / name, mirror / Path(name).name):
        if place.is_file():
            shutil.copyfile(place, partial)
            return
    raise RunError(f"The mirror {mirror} holds neither {name} nor {Path(name).name}.")


def _download(url: str, partial: Path) -> None:
    try:
        with urlopen(url, timeout=_TIMEOUT_S) as answer, partial.open("wb") as handle:
            shutil.copyfileobj(answer, handle, 1 << 20)
    except OSError as error:
        reason = getattr(error, "reason", None) or error
        raise RunError(f"{url} cannot be downloaded ({reason}); is this machine online?") from error


def _through_mne(name: str, partial: Path) -> None:
    """Let MNE and pooch download one run into a folder beside its target."""
    import tempfile

    _reach(PHYSIONET)
    import mne
    import pooch

    pooch.get_logger().setLevel("ERROR")
    subject, run = int(name[1:4]), int(name[-6:-4])
    with tempfile.TemporaryDirectory(dir=partial.parent, prefix=".fetch-") as folder:
        try:
            with mne.utils.use_log_level("ERROR"):
                found = mne.datasets.eegbci.load_data(
                    subject, [run], path=folder, update_path=False, base_url=PHYSIONET
                )
        except (OSError, ValueError) as error:
            raise RunError(f"{name} cannot be downloaded from {PHYSIONET} ({error}).") from error
        shutil.move(found[0], partial)


def _reach(url: str) -> None:
    """Ask the server for its headers: offline, pooch would try long and complain longer."""
    from urllib.request import Request

    try:
        urlopen(Request(url, method="HEAD"), timeout=_TIMEOUT_S).close()
    except OSError as error:
        reason = getattr(error, "reason", None) or error
        host = urlparse(url).hostname
        raise RunError(
            f"{host} cannot be reached ({reason}); this machine seems to be offline. Set {MIRROR} "
            "to a folder or address with the files, or run the simulated default instead."
        ) from error


def _shipped() -> dict[str, str]:
    """Return the checksums that MNE ships for the dataset."""
    from importlib.resources import files

    text = files("mne").joinpath("data", "eegbci_checksums.txt").read_text(encoding="utf-8")
    rows = (line.split() for line in text.splitlines() if line.strip())
    return {name: checksum for name, checksum, *_ in rows}
