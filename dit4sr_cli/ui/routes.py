"""What is asked for beside the page itself: a photograph comes in, pictures and results go out."""

from __future__ import annotations

import os
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote

from fastapi import FastAPI, Request, Response
from fastapi.responses import FileResponse, JSONResponse
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect

from dit4sr_cli.core.errors import Dit4srError, InputError, OutputError
from dit4sr_cli.imaging import formats
from dit4sr_cli.ui import pictures
from dit4sr_cli.ui.desk import Photo
from dit4sr_cli.ui.security import UPLOADS
from dit4sr_cli.ui.studio import Studio

if TYPE_CHECKING:
    from typing import BinaryIO

NAME_HEADER = "x-name"
_HEAD = 256
"""Bytes that tell a picture's kind."""
_THUMBNAIL = 192
_PRIVATE = {"cache-control": "private, max-age=3600"}  # an address never gets another picture
_ANSWERS = {
    InputError: HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    OutputError: HTTPStatus.INSUFFICIENT_STORAGE,
}


def add_routes(app: FastAPI, studio: Studio) -> None:
    """Give the app its addresses; who may use them, `security.Guard` decides."""

    @app.post(UPLOADS)
    async def take(request: Request) -> Response:
        try:
            photo = await _received(request, studio)
        except Dit4srError as error:
            text = f"{error.message} ({error.hint})" if error.hint else error.message
            return JSONResponse({"error": text}, _ANSWERS.get(type(error), HTTPStatus.BAD_REQUEST))
        except ClientDisconnect:
            return Response(status_code=HTTPStatus.BAD_REQUEST)
        return JSONResponse({"key": photo.key})

    @app.get("/photos/{key}/{what}.jpg")
    def show(key: str, what: str) -> Response:
        photo = studio.desk.get(key)
        try:
            data = None if photo is None else _picture(photo, what)
        except (Dit4srError, OSError) as error:
            return Response(str(error), HTTPStatus.UNPROCESSABLE_ENTITY, media_type="text/plain")
        if data is None:
            return _nothing()
        return Response(data, media_type="image/jpeg", headers=_PRIVATE)

    @app.get("/photos/{key}/result/{run}")
    def result(key: str, run: int) -> Response:
        photo = _made(studio, key, run)
        if photo is None or photo.result is None or photo.outcome is None:
            return _nothing()
        path, kind = photo.result, f"image/{photo.outcome.format}"
        return FileResponse(path, media_type=kind, filename=path.name, headers=_PRIVATE)

    @app.get("/photos/{key}/compare/{run}")
    def compare(key: str, run: int) -> Response:
        photo = _made(studio, key, run)
        if photo is None:
            return _nothing()
        try:
            return FileResponse(_compared(photo, studio), media_type="text/html", headers=_PRIVATE)
        except (Dit4srError, OSError) as error:
            text = photo.plainly(str(error))
            return Response(text, HTTPStatus.UNPROCESSABLE_ENTITY, media_type="text/plain")


def _made(studio: Studio, key: str, run: int) -> Photo | None:
    """The photograph, if that run's result is there."""
    photo = studio.desk.get(key)
    if photo is None or photo.run != run or photo.result is None or not photo.result.is_file():
        return None
    return photo


def _compared(photo: Photo, studio: Studio) -> Path:
    """The page that `dit4sr compare` writes, made when it is first looked at."""
    from dit4sr_cli.report.compare import page

    assert photo.result is not None
    target = photo.result.with_name("compare.html")
    if not target.exists():
        limit = studio.fixed.max_megapixels
        named = {photo.result.name: photo.result}
        page.make(photo.source, named, target, overwrite=True, max_megapixels=limit)
    return target


async def _received(request: Request, studio: Studio) -> Photo:
    """Write what comes to a file of its own, unless its first bytes say that it is no picture."""
    key, path = studio.place_for(unquote(request.headers.get(NAME_HEADER, "")))
    try:
        try:
            await _write(request, path)
        except OSError as error:
            raise OutputError(f"{path.name}: cannot be kept here: {error.strerror}") from error
        return await run_in_threadpool(_taken, studio, key, path)
    except BaseException:
        studio.forget(path)
        raise


async def _write(request: Request, path: Path) -> None:
    head = b""
    # Only whoever runs this may read it, and nothing that is there already is written to.
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        is_known = False
        async for chunk in request.stream():
            if not is_known:
                head += chunk
                is_known = _is_picture(head, path.name)
            await run_in_threadpool(_append, file, chunk)


def _append(file: BinaryIO, chunk: bytes) -> None:
    file.write(chunk)


def _is_picture(head: bytes, name: str) -> bool:
    """False: too little has come to tell."""
    if formats.sniff(head[:_HEAD]) is not None:
        return True
    if len(head) >= _HEAD:
        raise InputError(f"{name}: is not a picture", hint="JPEG, PNG, TIFF, WebP and more are")
    return False


def _taken(studio: Studio, key: str, path: Path) -> Photo:
    try:
        return studio.take(key, path)
    except Dit4srError as error:
        message = error.message.replace(str(path), path.name)
        raise type(error)(message, hint=error.hint) from error


def _picture(photo: Photo, what: str) -> bytes | None:
    """`thumbnail`, `before`, `after-RUN`, or the names of the last trial's pictures."""
    if what == "thumbnail":
        return pictures.whole(photo.source, _THUMBNAIL)
    if what == "before":
        return pictures.whole(photo.source)
    if photo.result is not None and what == f"after-{photo.run}":
        return pictures.whole(photo.result)
    tried = () if photo.trial is None else (photo.trial.before, photo.trial.after)
    return next((path.read_bytes() for path in tried if path.stem == what), None)


def _nothing() -> Response:
    return Response("there is no such picture\n", HTTPStatus.NOT_FOUND, media_type="text/plain")
