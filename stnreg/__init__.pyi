from stnreg.evaluation.evaluate import evaluate as evaluate
from stnreg.registration.encoding import EncodedImage as EncodedImage
from stnreg.registration.encoding import Seen as Seen
from stnreg.registration.encoding import encode as encode
from stnreg.registration.encoding import look as look
from stnreg.registration.options import RegistrationOptions as RegistrationOptions
from stnreg.registration.register import register as register
from stnreg.registration.result import Registration as Registration
from stnreg.registration.result import RegistrationResult as RegistrationResult
from stnreg.registration.series.options import SeriesOptions as SeriesOptions
from stnreg.registration.series.register import register_series as register_series
from stnreg.registration.series.result import SeriesResult as SeriesResult
from stnreg.resampling.apply import apply_transform as apply_transform
from stnreg.transforms.affine import Affine as Affine

__version__: str
