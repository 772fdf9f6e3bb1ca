"""What the routes for our own pages answer with: JSON that no other page may read and no cache may keep."""

from starlette.responses import JSONResponse, Response

PRIVATE = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}


def fault(message: str, status: int) -> Response:
    """Return the answer to a request that cannot be met. message: for people."""
    return JSONResponse({"error": message}, status, headers=PRIVATE)
