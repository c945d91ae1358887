"""
The same button on Flask, without asyncio: one request starts the callback, others ask how far it is, and none waits for a call.

    python examples/flask/app.py

Without TENIOS_ACCESS_KEY it runs on the simulator in this process, so that nobody's telephone rings.
"""

from __future__ import annotations

import os
import secrets

from flask import Flask, Response, jsonify, request, session

from tenios_ext import CallbackHandle, InvalidRequestError, NotPlacedError, OutcomeUnknownError, Tenios, TeniosError
from tenios_ext.clock import SYSTEM_CLOCK
from tenios_ext.simulator import BASE_URL, Simulator


def client() -> Tenios:
    """TENIOS where there is a key; else a simulator in this process."""
    if os.environ.get("TENIOS_ACCESS_KEY"):
        return Tenios(region="DE")
    simulator = Simulator(clock=SYSTEM_CLOCK)
    access_key, config_id = simulator.account
    return Tenios(access_key, config_id, base_url=BASE_URL, region="DE", transport=simulator.transport)


def create_app(tenios: Tenios | None = None) -> Flask:
    """The application; tests bring a client of their own. One client serves all threads."""
    tenios = tenios or client()
    app = Flask(__name__)
    # The handle has no secret, but it is the visitor's: it travels in a signed cookie, and no server has to remember it.
    app.secret_key = os.environ.get("SECRET_KEY") or secrets.token_bytes(32)

    @app.post("/callback")
    def start() -> tuple[Response, int]:
        if "handle" in session:
            return jsonify(error="You have been called already."), 409
        try:
            callback = tenios.start_callback(request.form.get("number", ""))
        except InvalidRequestError as error:
            return jsonify(error=str(error)), 422
        except OutcomeUnknownError:
            # Trying again could ring twice: the visitor is told the truth instead.
            return jsonify(error="Your telephone may ring in a moment."), 502
        except NotPlacedError:
            return jsonify(error="We cannot call just now."), 503
        session["handle"] = callback.handle.to_json()
        return jsonify(status="started"), 201

    @app.get("/callback")
    def status() -> tuple[Response, int]:
        if "handle" not in session:
            return jsonify(error="There is no callback."), 404
        try:
            found = tenios.callback(CallbackHandle.from_json(session["handle"])).status()
        except TeniosError:
            return jsonify(status="unknown"), 503
        return jsonify(status=str(found)), 200

    return app


if __name__ == "__main__":
    create_app().run(port=int(os.environ.get("PORT", "8000")))
