from stnreg.evaluation.evaluate import evaluate as evaluate
from stnreg.registration.encoding import Seen as Seen
from stnreg.registration.encoding import look as look
from stnreg.registration.register import register as register
from stnreg.registration.result import Registration as Registration
from stnreg.resampling.apply import apply_transform as apply_transform

__version__: str
