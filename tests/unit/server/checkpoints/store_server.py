"""A small object store on loopback that speaks enough of S3 and of WebDAV, and fails as it is told."""

from __future__ import annotations

import hashlib
import re
import threading
import urllib.parse
from collections import deque
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from obstore.store import from_url

MODIFIED = "Wed, 21 Oct 2015 07:28:00 GMT"
LISTED = "2015-10-21T07:28:00.250Z"


class StoreServer:
    """Hold objects by key below one prefix, and what is to go wrong next.

    Attributes:
        faults: what happens to the next reads of a file, one each: ``break`` in the middle, ``stall`` until the end, a
            status, ``whole`` for a range that is ignored, ``change`` of the object's content just before, or ``fine``.
        listing_fault: what happens to every listing: a status, ``stall``, or ``endless``.
        tags: whether objects have entity tags.
        webdav: whether a server over plain HTTP lists.
        ranges: what was read so far, as first and last byte of each answer begun.
    """

    def __init__(self):
        self.objects = {}
        self.faults = deque()
        self.listing_fault = ""
        self.tags = True
        self.webdav = False
        self.ranges = []
        self.asked = threading.Event()
        self.ended = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"store": self}))
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self._server.server_port}"

    def close(self):
        self.ended.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def client(self, url="s3://bucket/lab", **options):
        own = {"endpoint": self.url, "access_key_id": "k", "secret_access_key": "s", "region": "r"}
        return from_url(
            url,
            config=own if url.startswith("s3") else None,
            client_options={"allow_http": True, "timeout": "20s", **options},
            retry_config={"max_retries": 0},
        )


class _Handler(BaseHTTPRequestHandler):
    store: StoreServer
    protocol_version = "HTTP/1.1"
    wbufsize = -1

    def log_message(self, *_arguments):
        pass

    def do_PROPFIND(self):
        self.rfile.read(int(self.headers["Content-Length"] or 0))
        if not self.store.webdav:
            self._answer(405)
            return
        prefix = self._key().strip("/")
        below = f"{prefix}/" if prefix != "lab" else ""
        found = {f"{below}": "<D:resourcetype><D:collection/></D:resourcetype>"}
        for key, content in sorted(self.store.objects.items()):
            if key.startswith(below):
                name, more, _ = key.removeprefix(below).partition("/")
                if self.headers["Depth"] == "1" and more:
                    found[f"{below}{name}/"] = "<D:resourcetype><D:collection/></D:resourcetype>"
                else:
                    found[key] = f"<D:getcontentlength>{len(content)}</D:getcontentlength><D:resourcetype/>"
        responses = "".join(
            f"<D:response><D:href>/lab/{key}</D:href><D:propstat><D:prop>"
            f"<D:getlastmodified>{MODIFIED}</D:getlastmodified>{said}</D:prop>"
            "<D:status>HTTP/1.1 200 OK</D:status></D:propstat></D:response>"
            for key, said in found.items()
        )
        self._answer(207, f'<D:multistatus xmlns:D="DAV:">{responses}</D:multistatus>'.encode())

    def do_HEAD(self):
        self._send_object(self._key(), None)

    def do_GET(self):
        self.store.asked.set()
        query = urllib.parse.parse_qs(urllib.parse.urlsplit(self.path).query)
        if "list-type" in query:
            self._list(query)
        else:
            self._get()

    def _key(self):
        path = urllib.parse.unquote(urllib.parse.urlsplit(self.path).path)
        return re.sub("^/(bucket/)?lab/", "", path)

    def _get(self):
        fault = self.store.faults.popleft() if self.store.faults else "fine"
        key = self._key()
        if fault == "stall":
            self.store.ended.wait()
            self.close_connection = True
        elif fault == "change":
            self.store.objects[key] = self.store.objects[key][::-1]
            self._send_object(key, self.headers["Range"])
        elif fault == "whole":
            self._send_object(key, None)
        elif fault.isdigit():
            self._answer(int(fault))
        else:
            self._send_object(key, self.headers["Range"], cut=fault == "break")

    def _send_object(self, key, asked, *, cut=False):
        if key not in self.store.objects:
            return self._answer(404)
        content = self.store.objects[key]
        tag = hashlib.sha256(content).hexdigest()[:16]
        if self.headers["If-Match"] not in {None, f'"{tag}"'}:
            return self._answer(412)
        headers = {"Last-Modified": MODIFIED} | ({"ETag": f'"{tag}"'} if self.store.tags else {})
        status, total = 200, len(content)
        if asked:
            first, last = map(int, re.fullmatch(r"bytes=(\d+)-(\d+)", asked).groups())
            last = min(last, total - 1)
            self.store.ranges.append((first, last))
            headers["Content-Range"] = f"bytes {first}-{last}/{total}"
            status, content = 206, content[first : last + 1]
        self._answer(status, content, headers, cut=cut)
        return None

    def _list(self, query):
        fault = self.store.listing_fault
        if fault.isdigit():
            self._answer(int(fault))
        elif fault == "stall":
            self.store.ended.wait()
            self.close_connection = True
        elif fault == "endless":
            more = "<IsTruncated>true</IsTruncated><NextContinuationToken>t</NextContinuationToken>"
            self._answer(
                200, f"<ListBucketResult>{more}<Name>b</Name><KeyCount>0</KeyCount></ListBucketResult>".encode()
            )
        else:
            self._answer(200, self._page(query["prefix"][0], by_name="delimiter" in query).encode())

    def _page(self, prefix, *, by_name):
        entries, names = [], []
        for key, content in sorted(self.store.objects.items()):
            whole = f"lab/{key}"
            if not whole.startswith(prefix):
                continue
            if by_name and "/" in whole[len(prefix) :]:
                names.append(prefix + whole[len(prefix) :].partition("/")[0] + "/")
                continue
            tag = hashlib.sha256(content).hexdigest()[:16] if self.store.tags else ""
            entries.append(
                f"<Contents><Key>{whole}</Key><LastModified>{LISTED}</LastModified>"
                f"<ETag>{tag}</ETag><Size>{len(content)}</Size></Contents>"
            )
        entries += [f"<CommonPrefixes><Prefix>{name}</Prefix></CommonPrefixes>" for name in dict.fromkeys(names)]
        return f"<ListBucketResult><IsTruncated>false</IsTruncated><Name>b</Name>{''.join(entries)}</ListBucketResult>"

    def _answer(self, status, content=b"", headers=None, *, cut=False):
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content[: len(content) // 2] if cut else content)
        if cut:
            self.close_connection = True
