import sys

import openapi_client as tenios

api = tenios.CallbackApi(tenios.ApiClient(tenios.Configuration(host=sys.argv[1])))
for _ in range(2):
    request = tenios.InitCallbackRequest(
        access_key="KEY", callback_config_id="CONFIG", callback_number="+493023125100", delay=0
    )
    try:
        print(api.init_callback(request))
    except Exception as error:
        print(type(error))
try:
    print(api.get_callback_status(tenios.CallbackStatusRequest(access_key="KEY", id=10)).status)
except Exception as error:
    print("error:" + type(error).__name__)
