import sys

from out import Client
from out.api.callback import get_callback_status, init_callback
from out.models import CallbackStatusRequest, InitCallbackRequest

with Client(base_url=sys.argv[1]) as client:
    for _ in range(2):
        request = InitCallbackRequest(
            access_key="KEY", callback_config_id="CONFIG", callback_number="+493023125100", delay=0
        )
        try:
            print(init_callback.sync(client=client, body=request))
        except Exception as error:
            print(type(error))
    get = CallbackStatusRequest(access_key="KEY", id=10)
    try:
        print(get_callback_status.sync(client=client, body=get).status)
    except Exception as error:
        print("error:" + type(error).__name__)
