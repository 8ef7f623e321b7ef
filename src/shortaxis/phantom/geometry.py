"""The heart as continuous shapes whose volumes are known without counting voxels.

Everything is measured from the LV long axis. In a short-axis plane a point has the distance r and the angle θ; along the axis, Z in mm
runs from the base (0 at end diastole) to the apex. A surface is R(θ)·f(s): the angular shape R, times the profile f of a truncated
ellipsoid, with s = (Z - base) / length from 0 at the valve plane to 1 at the apex. Its volume separates,

    V = length · ∫f² ds · ½∮R² dθ = length · K · A,

where K is a closed form and A the periodic trapezoid sum, which for these analytic R is exact to rounding. The contraction is solved
backwards from the volumes: each unknown amplitude is the root of a quadratic. The wall keeps its volume, since muscle does not compress.

The right ventricle is the crescent between the epicardium R_o·f and R_o·f + depth·c(θ)·p(s); its volume separates in the same way, and
its crescent, which has two corners, is summed to about 1e-5.

The valve plane is tilted by the shear Z = z - slope·(x, y), which changes no volume.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from shortaxis.phantom.groups import Patient

EQUATOR: Final = 0.18
"""Where the ellipsoid is widest, as a share of the length from the base: it is cut off above its equator."""
CAVITY_SHARE: Final = 1 - ((1 - EQUATOR) ** 3 + EQUATOR**3) / (3 * (1 - EQUATOR) ** 2)
"""K = ∫₀¹ f(s)² ds of the truncated ellipsoid, in closed form."""
RV_END: Final = 0.88
"""Where the right ventricle ends, as a share of the epicardial length."""
RV_HALF_WIDTH: Final = np.deg2rad(74.0)
"""Half of the angle that the right ventricle spans around the left."""
N_ANGLES: Final = 2880


class Angular(NamedTuple):
    """The angular shapes at some angles: all arrays have the shape of those angles.

    Attributes:
        endocardium: End-diastolic shape of the cavity, mean near 1.
        motion: How far the wall takes part in the contraction, 0 (akinetic) to 1.
        wall: End-diastolic wall thickness in mm.
        crescent: Angular profile c(θ) of the RV, 0 outside its sector, at most near 1.
    """

    endocardium: NDArray[Any]
    motion: NDArray[Any]
    wall: NDArray[Any]
    crescent: NDArray[Any]


class State(NamedTuple):
    """The heart at one phase.

    Attributes:
        base: Z of the valve plane in mm.
        contraction: Share by which the moving endocardium has come in.
        thickening: Share by which the moving wall has thickened.
        rv_depth: Depth of the RV crescent in mm.
        lv_ml: LV cavity volume in ml, papillary muscles included.
        rv_ml: RV cavity volume in ml.
    """

    base: float
    contraction: float
    thickening: float
    rv_depth: float
    lv_ml: float
    rv_ml: float


class Surfaces(NamedTuple):
    """Distance of the surfaces from the LV axis in mm, at some points; 0 where a surface has ended."""

    endocardium: NDArray[Any]
    epicardium: NDArray[Any]
    right: NDArray[Any]


def profile(s: NDArray[Any]) -> NDArray[Any]:
    """Radius f(s) of the truncated ellipsoid; goes on above the base (s < 0), where the atria take over, and is 0 past its ends."""
    return np.sqrt(np.maximum(1 - ((s - EQUATOR) / (1 - EQUATOR)) ** 2, 0))


def rv_profile(s: NDArray[Any]) -> NDArray[Any]:
    """Depth p(s) of the RV crescent along the axis: 1 at the base, 0 from `RV_END` on."""
    return np.maximum(1 - (s / RV_END) ** 2, 0) ** 0.65


@dataclass(frozen=True)
class Heart:
    """The shapes of one patient, at every phase.

    Attributes:
        patient: Whose heart it is.
        slope: Slope (y, x) of the valve plane against the short-axis planes, in mm per mm.
    """

    patient: Patient
    slope: tuple[float, float]

    @cached_property
    def radius(self) -> float:
        """Mean radius of the cavity at its equator at end diastole, mm."""
        area = float(np.mean(self._ring.endocardium**2)) * np.pi
        return float((1000 * self.patient.lv_edv / (CAVITY_SHARE * self.patient.elongation * area)) ** (1 / 3))

    @property
    def cavity_length(self) -> float:
        """Length of the cavity from base to endocardial apex at end diastole, mm."""
        return self.patient.elongation * self.radius

    @property
    def length(self) -> float:
        """Length from base to epicardial apex at end diastole, mm; the muscle thins towards the apex."""
        return self.cavity_length + 0.7 * self.patient.wall

    @cached_property
    def wall_ml(self) -> float:
        """Volume of the LV wall in ml, the same at every phase."""
        outer = self.radius * self._ring.endocardium + self._ring.wall
        return CAVITY_SHARE * self.length * _circle(0.5 * outer**2) / 1000 - self.patient.lv_edv

    def angular(self, theta: NDArray[Any]) -> Angular:
        """The angular shapes at angles `theta` (radians from +W towards +H, any shape)."""
        patient = self.patient
        from_septum = theta - np.deg2rad(patient.septal_angle)
        septum = np.exp(3.0 * (np.cos(from_septum) - 1))
        akinetic = np.zeros_like(theta)
        if patient.akinetic > 0:
            from_scar = from_septum - np.deg2rad(patient.akinetic_centre)
            akinetic = 1 / (1 + np.exp((np.cos(np.deg2rad(patient.akinetic)) - np.cos(from_scar)) / 0.08))
        position = (np.mod(from_septum + np.pi, 2 * np.pi) - np.pi) / RV_HALF_WIDTH
        return Angular(
            endocardium=1 - patient.flattening * 2 * septum + 0.02 * np.cos(2 * from_septum + 1.0) + 0.008 * np.cos(3 * from_septum),
            motion=1 - akinetic,
            wall=patient.wall * (1 - 0.35 * akinetic) + patient.septum * septum,
            crescent=np.maximum(1 - position**2, 0) ** 0.55 * (1 - 0.22 * position),
        )

    def state(self, ejected: float) -> State:
        """The heart when a share `ejected` of the stroke volumes has left, 0 (ED) to 1 (ES)."""
        patient, ring = self.patient, self._ring
        base = patient.shortening * self.cavity_length * ejected
        lv_ml = patient.lv_edv * (1 - patient.lv_ef / 100 * ejected)
        rv_ml = patient.rv_edv * (1 - patient.rv_ef / 100 * ejected)

        # Cavity: length · K · ½∮(R·e·(1 - q·m))² dθ = volume, solved for the contraction q.
        diastolic = self.radius * ring.endocardium
        moving = diastolic * ring.motion
        target = 2000 * lv_ml / (CAVITY_SHARE * (self.cavity_length - base))
        contraction = -_root(_circle(moving**2), _circle(diastolic * moving), _circle(diastolic**2) - target)

        # Wall: the same with the epicardium R_i + w·(1 + k·m), solved for the thickening k that keeps the wall's volume.
        length = self.length - base
        inner = diastolic * (1 - contraction * ring.motion)
        stretch = ring.wall * ring.motion
        target = 2000 * (lv_ml + self.wall_ml) / (CAVITY_SHARE * length)
        thickening = _root(_circle(stretch**2), _circle((inner + ring.wall) * stretch), _circle((inner + ring.wall) ** 2) - target)

        # Crescent: ∫∫ ½((R_o·f + T·c·p)² - (R_o·f)²) dθ ds · length, solved for the depth T.
        outer = inner + ring.wall + thickening * stretch
        linear = _circle(outer * ring.crescent) * _RV_MOMENTS[0]
        depth = _root(_circle(ring.crescent**2) * _RV_MOMENTS[1] / 2, linear / 2, -1000 * rv_ml / length)
        return State(base, contraction, thickening, depth, lv_ml, rv_ml)

    def surfaces(self, state: State, angular: Angular, z: NDArray[Any]) -> Surfaces:
        """Where the surfaces lie at points given by their angular shapes and their `z` (sheared, mm); the shapes broadcast."""
        inner, outer = self._radii(state, angular)
        s = (z - state.base) / (self.length - state.base)
        epicardium = outer * profile(s)
        return Surfaces(
            endocardium=inner * profile((z - state.base) / (self.cavity_length - state.base)),
            epicardium=epicardium,
            right=epicardium + state.rv_depth * angular.crescent * rv_profile(s),
        )

    def mid_wall_thickness(self, state: State) -> NDArray[np.float64]:
        """Radial wall thickness half-way along the cavity in mm, mean over six sectors of 60°; sector 0 is centred on the septum."""
        theta = np.deg2rad(self.patient.septal_angle - 30) + np.arange(N_ANGLES) * 2 * np.pi / N_ANGLES
        middle = np.array((state.base + self.cavity_length) / 2)
        surfaces = self.surfaces(state, self.angular(theta), middle)
        thickness: NDArray[np.float64] = (surfaces.epicardium - surfaces.endocardium).reshape(6, -1).mean(axis=1)
        return thickness

    def extent(self) -> tuple[float, float, float, float]:
        """Farthest reach of the ventricles from the axis at end diastole in mm: (up, down, left, right), all positive."""
        theta = np.arange(N_ANGLES) * 2 * np.pi / N_ANGLES
        state = self.state(0.0)
        s = np.array(EQUATOR * self.length)
        reach = self.surfaces(state, self.angular(theta), s).right
        x, y = reach * np.cos(theta), reach * np.sin(theta)
        return float(-y.min()), float(y.max()), float(-x.min()), float(x.max())

    @cached_property
    def _ring(self) -> Angular:
        return self.angular(np.arange(N_ANGLES) * 2 * np.pi / N_ANGLES)

    def _radii(self, state: State, angular: Angular) -> tuple[NDArray[Any], NDArray[Any]]:
        inner = self.radius * angular.endocardium * (1 - state.contraction * angular.motion)
        return inner, inner + angular.wall * (1 + state.thickening * angular.motion)


def _circle(values: NDArray[np.float64]) -> float:
    """∮ values dθ from samples at `N_ANGLES` equal steps."""
    return float(values.sum() * 2 * np.pi / N_ANGLES)


def _root(a: float, b: float, c: float) -> float:
    """Root of a·t² + 2·b·t + c nearest to 0, for b > 0, in the form that does not cancel."""
    return -c / (b + float(np.sqrt(b * b - a * c)))


def _rv_moments() -> tuple[float, float]:
    """∫f·p ds and ∫p² ds over the RV's length; s = RV_END·sin β takes the root-like end of p out of the Gauss-Legendre sum."""
    nodes, weights = np.polynomial.legendre.leggauss(200)
    beta = (nodes + 1) * np.pi / 4
    s = RV_END * np.sin(beta)
    measure = weights * np.pi / 4 * RV_END * np.cos(beta)
    return float(measure @ (profile(s) * rv_profile(s))), float(measure @ rv_profile(s) ** 2)


_RV_MOMENTS: Final = _rv_moments()
