import out
try:
    print(out.CallbackStatusResponse.model_validate_json('{"status": "ON_HOLD"}').status.root)
except Exception as error:
    print("error:" + type(error).__name__)
