import sys

import urllib3

print("urllib3", urllib3.__version__)
with urllib3.PoolManager() as client:
    for _ in range(2):
        try:
            response = client.request(
                "POST",
                sys.argv[1],
                body="{}",
                redirect=False, retries=False,  # careful
            )
            print(response.status)
        except Exception as error:
            print(error)
