# Made by clusteria's agent for this container's JupyterLab. What you set in ~/.jupyter is read first; what
# concerns logging in is set here.
import base64
import hashlib
import hmac
import json
import os
import traceback

from jupyter_core.paths import jupyter_config_path

for folder in reversed(jupyter_config_path()):
    try:
        load_subconfig("jupyter_server_config.py", path=folder)  # noqa: F821
    except Exception:
        # A slip in somebody's settings must not keep them out.
        traceback.print_exc()

try:
    from jupyter_server.auth.identity import PasswordIdentityProvider, User
    from jupyter_server.auth.security import passwd_check
except ImportError:
    raise SystemExit("jupyter_server is missing here, or older than 2.0")

PASSWORD = os.path.join(os.path.dirname(os.path.abspath(__file__)), "password")


def current_hash():
    """Read at each use: a new password of the reservation counts at once, and no kernel is restarted for it."""
    try:
        with open(PASSWORD, encoding="ascii") as file:
            return file.read().strip()
    except OSError:
        return ""


def fingerprint():
    return hashlib.sha256(current_hash().encode()).hexdigest()


def is_vouched_for(handler):
    """The gateway says who it is: it knows the hash, as we do. Else it would not have come from the page."""
    key, given = current_hash(), handler.request.headers.get("X-Clusteria-Page", "")
    if not key or not given:
        return False
    digest = hmac.new(key.encode(), b"clusteria page", hashlib.sha256).digest()
    right = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
    return hmac.compare_digest(right.encode(), given.encode())


class ReservationIdentityProvider(PasswordIdentityProvider):
    """Opens with the reservation's password, and with nothing else; stays closed while there is none."""

    @property
    def auth_enabled(self):
        return True

    def passwd_check(self, password):
        hashed = current_hash()
        return bool(hashed) and passwd_check("argon2:" + hashed, password)

    def user_to_cookie(self, user):
        return json.dumps({"user": super().user_to_cookie(user), "password": fingerprint()})

    def get_user_cookie(self, handler):
        """As if by a cookie, and not by a token: what protects forms against other pages stays on."""
        if is_vouched_for(handler):
            return User(username="clusteria", name="clusteria")
        return super().get_user_cookie(handler)

    def user_from_cookie(self, cookie_value):
        """Who came in by an old password goes out with it."""
        cookie = json.loads(cookie_value)
        if cookie["password"] != fingerprint():
            return None
        return super().user_from_cookie(cookie["user"])


c = get_config()  # noqa: F821
c.ServerApp.identity_provider_class = ReservationIdentityProvider
c.ReservationIdentityProvider.token = ""
c.ReservationIdentityProvider.hashed_password = ""
c.ReservationIdentityProvider.allow_password_change = False
c.ServerApp.allow_unauthenticated_access = False
c.ServerApp.ip = "127.0.0.1"
c.ServerApp.port = 8888
c.ServerApp.port_retries = 0
c.ServerApp.open_browser = False
c.ServerApp.quit_button = False
c.ServerApp.root_dir = os.path.expanduser("~")
