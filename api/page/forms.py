"""Forms of a browser without script: their fields as text, empty ones left out."""

from typing import Annotated

from fastapi import Depends, Request

from api.http.bodies import check_charset

MOST_FIELDS = 40


async def read_fields(request: Request) -> dict[str, str]:
    check_charset(request)
    async with request.form(max_files=0, max_fields=MOST_FIELDS) as form:
        fields = {name: str(value).strip() for name, value in form.items()}
    return {name: value for name, value in fields.items() if value}


Fields = Annotated[dict[str, str], Depends(read_fields)]
