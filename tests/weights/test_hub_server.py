"""The test hub against the real client: what other tests learn from it rests on these."""

from __future__ import annotations

import io
import time
import urllib.error
import urllib.request
from hashlib import sha256
from pathlib import Path

import pytest
from helpers.hub import HUB, STORAGE, Hub
from huggingface_hub import HfApi, constants, hf_hub_download, snapshot_download
from huggingface_hub.errors import (
    EntryNotFoundError,
    GatedRepoError,
    HfHubHTTPError,
    LocalEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.file_download import get_hf_file_metadata, hf_hub_url, http_get

REPO = "acceptee/DiT4SR"
WEIGHTS = "dit4sr_q/transformer/model.safetensors"
LARGE = bytes(range(256)) * 400


@pytest.fixture
def root(tmp_path):
    folder = tmp_path / "hub" / REPO
    (folder / WEIGHTS).parent.mkdir(parents=True)
    (folder / WEIGHTS).write_bytes(LARGE)
    (folder / "config.json").write_text('{"a": 1}')
    (folder / "README.md").write_text("---\nlicense: other\n---\n# Title\n")
    return tmp_path / "hub"


@pytest.fixture
def hub(root, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_DOWNLOAD_TIMEOUT", 1)
    monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", 10_000)
    monkeypatch.setattr("huggingface_hub.file_download.time.sleep", lambda seconds: None)
    monkeypatch.setattr("huggingface_hub.utils._http.time.sleep", lambda seconds: None)
    with Hub(root) as hub:
        yield hub


def api(hub, token=False):
    return HfApi(endpoint=hub.url, token=token)


def download(hub, tmp_path, path=WEIGHTS, token=False, **options):
    options.setdefault("repo_id", REPO)
    folder = tmp_path / "cache"
    return hf_hub_download(
        filename=path, endpoint=hub.url, token=token, cache_dir=folder, **options
    )


def test_model_info_lists_files_with_sizes_and_hashes(hub):
    info = api(hub).model_info(REPO, files_metadata=True)
    found = {file.rfilename: file for file in info.siblings}
    assert sorted(found) == ["README.md", "config.json", WEIGHTS]
    assert info.sha == hub.sha(REPO)
    assert info.card_data.license == "other"
    assert (found["config.json"].size, found["config.json"].lfs) == (8, None)
    # printf '{"a": 1}' | git hash-object --stdin
    assert found["config.json"].blob_id == "4a036f56bb619924ec4189bd84ed716c766971ae"
    assert found[WEIGHTS].lfs.sha256 == sha256(LARGE).hexdigest()
    assert found[WEIGHTS].lfs.size == found[WEIGHTS].size == len(LARGE)
    assert found[WEIGHTS].lfs.pointer_size < 200


def test_tree_is_listed_page_by_page(root):
    with Hub(root, page_size=2) as hub:
        entries = list(api(hub).list_repo_tree(REPO, recursive=True))
        pages = [r for r in hub.requests if "/tree/" in r.target]
    assert [entry.path for entry in entries] == [
        "README.md",
        "config.json",
        "dit4sr_q",
        "dit4sr_q/transformer",
        WEIGHTS,
    ]
    assert entries[-1].lfs.sha256 == sha256(LARGE).hexdigest()
    assert len(pages) == 3


def test_tree_of_one_folder(hub):
    top = [entry.path for entry in api(hub).list_repo_tree(REPO)]
    below = [entry.path for entry in api(hub).list_repo_tree(REPO, "dit4sr_q/transformer")]
    assert top == ["README.md", "config.json", "dit4sr_q"]
    assert below == [WEIGHTS]
    assert [f.path for f in api(hub).get_paths_info(REPO, ["config.json"])] == ["config.json"]


def test_snapshot_is_whole(hub, tmp_path):
    folder = snapshot_download(REPO, endpoint=hub.url, token=False, local_dir=tmp_path / "copy")
    for path in (tmp_path / "hub" / REPO).rglob("*.*"):
        if path.is_file():
            name = path.relative_to(tmp_path / "hub" / REPO)
            assert (tmp_path / "copy" / name).read_bytes() == path.read_bytes()
    assert str(folder) == str(tmp_path / "copy")
    assert hub.fetched() == [f"{REPO}/README.md", f"{REPO}/config.json", f"{REPO}/{WEIGHTS}"]


def test_large_files_come_from_the_second_host_without_the_token(hub, tmp_path):
    hub.gate(REPO)
    download(hub, tmp_path, token="good")
    head, get = [r for r in hub.requests if r.name.endswith(".safetensors")]
    assert (head.host, head.method, head.status, head.has_token) == (HUB, "HEAD", 302, True)
    assert (get.host, get.method, get.status, get.has_token) == (STORAGE, "GET", 200, False)
    assert counted(get) == hub.sent() == len(LARGE)


def counted(request) -> int:
    """Bytes that went out: the server counts them when the client has them already."""
    deadline = time.monotonic() + 10
    while request.sent < len(LARGE) and time.monotonic() < deadline:
        time.sleep(0.01)
    return request.sent


def test_metadata_of_both_kinds_of_file(hub):
    for path, size in (("config.json", 8), (WEIGHTS, len(LARGE))):
        url = hf_hub_url(REPO, path, endpoint=hub.url)
        found = get_hf_file_metadata(url, token=False)
        blob = hub.repositories[REPO].commits[hub.sha(REPO)][path]
        assert (found.commit_hash, found.etag, found.size) == (hub.sha(REPO), blob.etag, size)


def test_client_goes_on_where_the_connection_broke(hub, tmp_path):
    hub.fault(f"{REPO}/*.safetensors", cut_after=30_000, times=2)
    path = download(hub, tmp_path)
    assert Path(path).read_bytes() == LARGE
    gets = [r for r in hub.requests if r.host == STORAGE]
    assert [r.range for r in gets] == [None, "bytes=30000-", "bytes=60000-"]
    assert [r.status for r in gets] == [200, 206, 206]


def test_ranges(hub):
    url = get_hf_file_metadata(hf_hub_url(REPO, WEIGHTS, endpoint=hub.url), token=False).location
    for text, part in (("5-9", LARGE[5:10]), ("-7", LARGE[-7:]), ("102399-", LARGE[-1:])):
        request = urllib.request.Request(url, headers={"Range": f"bytes={text}"})
        with urllib.request.urlopen(request) as answer:
            assert (answer.status, answer.read()) == (206, part)
    request = urllib.request.Request(url, headers={"Range": "bytes=102400-"})
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(request)
    assert caught.value.code == 416
    assert caught.value.headers["Content-Range"] == "bytes */102400"


def test_storage_wants_a_signature_and_no_token(hub):
    url = get_hf_file_metadata(hf_hub_url(REPO, WEIGHTS, endpoint=hub.url), token=False).location
    with pytest.raises(urllib.error.HTTPError, match="403"):
        urllib.request.urlopen(url.split("?")[0])
    with pytest.raises(urllib.error.HTTPError, match="400"):
        urllib.request.urlopen(urllib.request.Request(url, headers={"Authorization": "Bearer x"}))


def test_stalled_connection_is_resumed(hub, tmp_path):
    hub.fault(f"{REPO}/*.safetensors", stall_after=20_000)
    assert Path(download(hub, tmp_path)).read_bytes() == LARGE
    assert [r.range for r in hub.requests if r.host == STORAGE] == [None, "bytes=20000-"]


def test_reset_is_not_mended_by_the_client(hub, tmp_path):
    hub.fault(f"{REPO}/*.safetensors", cut_after=20_000, reset=True)
    with pytest.raises(Exception, match=r"(?i)reset"):
        download(hub, tmp_path)


def test_gated(hub, tmp_path):
    hub.gate(REPO, token="good")
    assert api(hub).model_info(REPO).gated == "auto"
    for token, status in ((False, 401), ("other", 403)):
        with pytest.raises(GatedRepoError) as caught:
            download(hub, tmp_path, token=token)
        assert caught.value.response.status_code == status
        with pytest.raises(GatedRepoError):
            api(hub, token).auth_check(REPO)
    assert download(hub, tmp_path, token="good")
    api(hub, "good").auth_check(REPO)


def test_unknown_token_is_refused_everywhere(hub):
    with pytest.raises(HfHubHTTPError, match="Invalid credentials") as caught:
        api(hub, "stale").model_info(REPO)
    assert caught.value.response.status_code == 401
    assert not isinstance(caught.value, RepositoryNotFoundError)


def test_missing_and_private_repositories_look_alike(hub):
    hub.hide(REPO, token="good")
    for name in (REPO, "nobody/nothing"):
        for token, status in ((False, 401), ("other", 404)):
            with pytest.raises(RepositoryNotFoundError) as caught:
                api(hub, token).model_info(name)
            assert caught.value.response.status_code == status
    assert api(hub, "good").model_info(REPO).private


def test_missing_file_and_revision(hub, tmp_path):
    with pytest.raises(EntryNotFoundError):
        download(hub, tmp_path, "nothing.txt")
    with pytest.raises(RevisionNotFoundError):
        download(hub, tmp_path, revision="v9")
    with pytest.raises(RevisionNotFoundError):
        api(hub).model_info(REPO, revision="v9")


def test_revisions_stay_when_main_moves_on(hub, tmp_path):
    first = hub.sha(REPO)
    hub.tag(REPO, "v1")
    (hub.root / REPO / "config.json").write_text('{"a": 2}')
    second = hub.commit(REPO)
    assert first != second == api(hub).model_info(REPO).sha
    for revision, text in (("main", "2"), ("v1", "1"), (first, "1")):
        path = download(hub, tmp_path, "config.json", revision=revision)
        assert text in Path(path).read_text()
    refs = api(hub).list_repo_refs(REPO)
    assert [(tag.name, tag.target_commit) for tag in refs.tags] == [("v1", first)]


def test_too_many_requests_then_success(hub, tmp_path):
    fault = hub.fault(f"{REPO}/*.safetensors", status=429, retry_after=3, times=2)
    assert download(hub, tmp_path)
    assert fault.hits == 2


def test_server_errors(hub, tmp_path):
    hub.fault(f"api/models/{REPO}/tree/*", status=503, times=2)
    assert list(api(hub).list_repo_tree(REPO))
    hub.fault(f"{REPO}/config.json", status=500, times=None, method="HEAD")
    with pytest.raises(LocalEntryNotFoundError):
        download(hub, tmp_path, "config.json")


def test_wrong_bytes_pass_the_client_and_a_wrong_length_does_not(hub, tmp_path):
    hub.fault(f"{REPO}/*.safetensors", corrupt=True)
    received = Path(download(hub, tmp_path)).read_bytes()
    assert len(received) == len(LARGE)
    assert received != LARGE
    hub.fault(f"{REPO}/*.safetensors", shorten=10)
    with pytest.raises(OSError, match="Consistency check failed"):
        download(hub, tmp_path, force_download=True)


def test_slow_answers_are_slow(hub):
    url = get_hf_file_metadata(hf_hub_url(REPO, WEIGHTS, endpoint=hub.url), token=False).location
    hub.fault(f"{REPO}/*.safetensors", bytes_per_second=200_000)
    started = time.monotonic()
    http_get(url, buffer := io.BytesIO())
    assert buffer.getvalue() == LARGE
    assert 0.3 < time.monotonic() - started < 3


def test_closed_hub_refuses_connections(root, tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.utils._http.time.sleep", lambda seconds: None)
    hub = Hub(root).start()
    hub.close()
    with pytest.raises(LocalEntryNotFoundError):
        download(hub, tmp_path)


def test_xet_is_announced_and_can_be_declined(root, tmp_path, monkeypatch):
    with Hub(root, xet=True) as hub:
        url = hf_hub_url(REPO, WEIGHTS, endpoint=hub.url)
        assert get_hf_file_metadata(url, token=False).xet_file_data is not None
        monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
        assert Path(download(hub, tmp_path)).read_bytes() == LARGE


def test_token_goes_to_the_hub_alone_when_redirected_on_a_get(hub):
    hub.gate(REPO)
    http_get(
        hf_hub_url(REPO, WEIGHTS, endpoint=hub.url),
        buffer := io.BytesIO(),
        headers={"authorization": "Bearer good"},
    )
    assert buffer.getvalue() == LARGE
    assert [(r.host, r.has_token) for r in hub.requests] == [(HUB, True), (STORAGE, False)]
