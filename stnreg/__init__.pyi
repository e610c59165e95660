from stnreg.looking import Seen as Seen
from stnreg.looking import look as look
from stnreg.metrics.evaluation import evaluate as evaluate
from stnreg.preprocess.apply import apply_transform as apply_transform
from stnreg.registration import register as register
from stnreg.result import Registration as Registration

__version__: str
