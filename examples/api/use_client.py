"""Call every operation with the client that openapi-python-client has written.

It prints the name of each operation that was called. The client is the package
`warehouse`, the first argument where the API is; API_KEY and API_TOKEN are its secrets.
"""

import os
import sys
from http import HTTPStatus

from warehouse import AuthenticatedClient, Client
from warehouse.api.files import delete_file, download_file, list_files, upload_file
from warehouse.api.items import (
    create_item,
    delete_item,
    list_items,
    read_item,
    read_picture,
    replace_item,
    store_picture,
)
from warehouse.api.orders import cancel_order, create_order, list_orders, read_order
from warehouse.models import Line, NewItem, NewOrder, UploadFileBody
from warehouse.types import File


def call(operation, status, *args, **kwargs):
    """Call an operation, and give its whole response, which has to be as documented."""
    response = operation.sync_detailed(*args, **kwargs)
    name = operation.__name__.rpartition(".")[2]
    if response.status_code != status:
        raise SystemExit(f"{name}: {response.status_code} {response.content}")
    print(name)
    return response


def main(url):
    public = Client(url, raise_on_unexpected_status=True)
    staff = AuthenticatedClient(
        url,
        token=os.environ["API_KEY"],
        prefix="",
        auth_header_name="X-Key",
        raise_on_unexpected_status=True,
    )
    ann = AuthenticatedClient(
        url, token=os.environ["API_TOKEN"], raise_on_unexpected_status=True
    )
    use_items(public, staff, ann)
    use_files(ann)


def use_items(public, staff, ann):
    new = NewItem(name="Cup", price=350, stock=10, tags=["color:blue"])
    created = call(create_item, HTTPStatus.CREATED, client=staff, body=new)
    id, tag = created.parsed.id, created.headers["ETag"]
    read = call(read_item, HTTPStatus.OK, id, client=public)
    assert read.parsed == created.parsed
    call(read_item, HTTPStatus.NOT_MODIFIED, id, client=public, if_none_match=tag)
    found = call(
        list_items, HTTPStatus.OK, client=public, tag=["color:blue"], limit=100
    )
    assert found.parsed.items
    changed = NewItem(name="Mug", price=400, stock=10)
    replaced = call(
        *(replace_item, HTTPStatus.OK, id),
        **{"client": staff, "body": changed, "if_match": tag},
    )
    assert replaced.parsed.name == "Mug"

    picture = File(payload=b"a picture")
    call(store_picture, HTTPStatus.NO_CONTENT, id, client=staff, body=picture)
    read = call(read_picture, HTTPStatus.OK, id, client=public)
    assert read.content == b"a picture"

    use_orders(ann, id)
    call(delete_item, HTTPStatus.NO_CONTENT, id, client=staff, if_match="*")
    gone = call(read_item, HTTPStatus.NOT_FOUND, id, client=public)
    assert gone.parsed.detail == "There is no such item"


def use_orders(ann, item):
    order = NewOrder(lines=[Line(item=item, quantity=2)])
    first, second = (
        call(
            *(create_order, HTTPStatus.CREATED),
            **{"client": ann, "body": order, "idempotency_key": f"for-{item}"},
        ).parsed
        for _ in range(2)
    )
    assert first == second
    assert first.total == 800
    assert call(read_order, HTTPStatus.OK, first.id, client=ann).parsed == first
    assert call(list_orders, HTTPStatus.OK, client=ann).parsed.orders
    cancelled = call(cancel_order, HTTPStatus.OK, first.id, client=ann).parsed
    assert cancelled.state == "cancelled"


def use_files(ann):
    body = UploadFileBody(file=File(payload=b"abc", file_name="a.txt"), note="to keep")
    file = call(upload_file, HTTPStatus.CREATED, client=ann, body=body).parsed
    assert (file.name, file.size, file.note) == ("a.txt", 3, "to keep")
    assert call(list_files, HTTPStatus.OK, client=ann).parsed.files
    content = call(download_file, HTTPStatus.OK, file.id, client=ann).content
    assert content == b"abc"
    call(delete_file, HTTPStatus.NO_CONTENT, file.id, client=ann)


main(*sys.argv[1:])
