"""CheckmarxPythonSDK, unmodified, doing on one connection what it is told line by line.

    {"call": "get_all_projects", "with": {"project_name": "shop"}}  ->  {"gave": ...} or {"raised": "..."}

Configured by the environment, as its documentation says: ``cxsca_server``, ``cxsca_username`` and so on.
"""

import json
import sys

from CheckmarxPythonSDK import CxScaApiSDK
from CheckmarxPythonSDK.utilities import httpRequests

for line in sys.stdin:
    wish = json.loads(line)
    try:
        told = {"gave": getattr(CxScaApiSDK, wish["call"])(**wish["with"])}
    except ValueError as error:
        told = {"raised": " ".join(map(str, error.args))}
    told["token"] = httpRequests.auth_header["Authorization"]
    sys.stdout.write(json.dumps(told) + "\n")
    sys.stdout.flush()
