"""Internal names that other packages of this project use. They may change in any release."""

from ._arguments import check_announcement
from ._checks import is_number, is_one_line, is_whole
from ._clock import SYSTEM_CLOCK, SystemClock
from ._connections import proxy_of_environment
from ._extras import requires_extra
from ._hosts import is_loopback, is_tenios
from ._polling import PollState
from ._secret import MASK, Secret, redact
