"""The lab's words, each in one or two sentences, and where readers find them: the page "Glossary"."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lab import verdicts

Group = str
VERDICTS = "Verdicts"
COMPARING = "What is run and compared"
TIME = "Time and memory"
ENERGY = "Energy"
STATISTICS = "Intervals and fairness"


@dataclass(frozen=True)
class Term:
    """A word as the pages and files write it, and what it means. ``also`` holds other words for the same, by which it is found too."""

    name: str
    meaning: str
    group: Group
    also: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """Every word for it."""
        return (self.name, *self.also)


TERMS: tuple[Term, ...] = (
    Term("claim", "A figure that a source states: what is said to be better, by how much, and compared with what.", VERDICTS),
    Term(
        "verdict",
        "What a measurement says of a claim: the one region (contradicted, no difference, smaller than claimed, reproduced, larger than "
        "claimed) that holds the whole 95 % interval. It is given for each way of comparing, never for a claim as such.",
        VERDICTS,
    ),
    Term(verdicts.CONTRADICTED, "The whole interval lies on the other side of “no effect” than the claim, beyond the margin.", VERDICTS),
    Term(verdicts.NO_DIFFERENCE, "The whole interval lies within the margin around “no effect”.", VERDICTS),
    Term(verdicts.SMALLER, "There is an effect in the claimed direction, and the whole interval lies below what was claimed.", VERDICTS),
    Term(verdicts.REPRODUCED, "The whole interval lies within the tolerance around the claimed figure.", VERDICTS),
    Term(verdicts.LARGER, "The whole interval lies above the claimed figure and its tolerance.", VERDICTS),
    Term(
        verdicts.INCONCLUSIVE,
        "The interval reaches into several regions, or the measurement drifted, has too few observations or rests on a setting at the edge "
        "of its grid. The reason says which; measuring longer may settle it.",
        VERDICTS,
    ),
    Term(
        verdicts.NOT_MEASURED,
        "The run says nothing of the claim, for the reason given: no energy counter, other data or hardware than the claim speaks of, or "
        "a preset that leaves it out.",
        VERDICTS,
    ),
    Term(
        verdicts.REPRODUCIBLE,
        "The source leaves settings open that decide the figure. With the settings named it comes out as claimed; that is all that can be "
        "said.",
        VERDICTS,
    ),
    Term("tolerance", "How far from the claimed figure still counts as reproduced: 10 % of the claimed effect unless said.", VERDICTS),
    Term(
        "margin",
        "How far from “no effect” still counts as no difference: 1 % for ratios on a GPU, 5 % on a CPU, 0.5 points of accuracy, and never "
        "more than a quarter of the claimed effect.",
        VERDICTS,
    ),
    Term("equivalence", "A claim that something is kept: the whole interval must lie within a stated margin on both sides.", VERDICTS),
    Term(
        "non-inferiority",
        "A claim that something is at least as good (“drop-in”): the interval must not reach beyond a stated margin on the worse side.",
        VERDICTS,
    ),
    Term(
        "rank claim", "A claim to be first (or among the first) of several; its chance rate says how often that happens by luck.", VERDICTS
    ),
    Term(
        "cell",
        "One figure of a published table. Each is judged; the table as a whole is called after its worst cell.",
        VERDICTS,
        ("table",),
    ),
    Term("evidence", "What a verdict rests on: hardware, data set and date of the run that measured it.", VERDICTS),
    Term("technique", "What the claim praises, in any of its implementations.", COMPARING),
    Term("baseline", "What the technique is compared with.", COMPARING),
    Term("arm", "One of the things measured against each other: the technique, a baseline or a limit, in one implementation.", COMPARING),
    Term(
        "protocol",
        "How an experiment is set up. Published: as the claim's authors did, flaws included and named. Sound: held-out data, tuned "
        "settings, several seeds, fair inputs.",
        COMPARING,
        ("published protocol", "sound protocol"),
    ),
    Term("as published", "The claim's own code path and protocol, measured against the baseline it names.", COMPARING),
    Term(
        "best against best",
        "The technique as fast and as well trained as it can be made, against the strongest baseline that exists on the machine.",
        COMPARING,
    ),
    Term(
        "implementation",
        "One way of computing the same thing: NumPy, PyTorch's separate operations (eager), the compiler's (compiled), or one kernel "
        "written for it (fused).",
        COMPARING,
        ("eager", "compiled", "fused", "numpy"),
    ),
    Term("preset", "A named set of parameter values: as published, quick (half a minute) or thorough (narrow intervals).", COMPARING),
    Term(
        "combination",
        "One choice of all parameters. Several values of a parameter make several combinations, measured in one run: a sweep.",
        COMPARING,
        ("sweep",),
    ),
    Term("run", "One execution of an experiment with all its raw measurements, as files that can be exported and opened again.", COMPARING),
    Term(
        "run of this machine",
        "A run that was started here, from a page or the command line, and is kept in this machine's store.",
        COMPARING,
    ),
    Term("recorded run", "A run on a data-centre GPU that comes with the lab, shown with its hardware and date.", COMPARING),
    Term("imported run", "A run that somebody else made and exported; the lab shows it and does not vouch for it.", COMPARING),
    Term(
        "manifest", "What belongs to a run besides its measurements: parameters, seed, hardware, versions, clocks, data, times.", COMPARING
    ),
    Term("seed", "The number that fixes everything random in a run: same seed, same inputs, same training.", COMPARING),
    Term("calibration", "A run that measures the machine and the lab itself: physical limits, and how often a comparison errs.", COMPARING),
    Term("latency_s", "Time per call as a user feels it: calls launched one after the other, the device waited for at both ends.", TIME),
    Term(
        "device_time_s",
        "Time per call on the GPU alone: a CUDA graph of at least 50 launches, replayed, without launch overhead. A CPU has no such timer.",
        TIME,
    ),
    Term("segment", "Back-to-back calls of one arm that together last long enough to be timed: at least 100 ms, quick 20 ms.", TIME),
    Term("mirrored pass", "Every arm once, then in reverse (A B C C B A), so that a slow change of the machine cancels.", TIME),
    Term("observation", "One mirrored pass: for each arm a time, and for each pair a ratio taken within the pass.", TIME, ("repeat",)),
    Term("warm-up", "Calls before anything is timed: at least three, and half a second.", TIME),
    Term(
        "cold cache",
        "Inputs rotate through buffers of at least four times the cache, so that every call reads memory, as in a model.",
        TIME,
        ("cold",),
    ),
    Term("warm cache", "The same input at every call, which a small tensor then finds in the cache.", TIME, ("warm",)),
    Term("drift", "A ratio that changes while it is measured, by more than the margin: no verdict rests on it.", TIME),
    Term("peak_memory_bytes", "The most memory that tensors took at once while one arm ran alone.", TIME),
    Term("peak_reserved_bytes", "The most memory that the framework held for them, with what it keeps for reuse.", TIME),
    Term("copy bandwidth", "How fast the machine copies memory: the limit of anything that reads and writes each element once.", TIME),
    Term("energy_j", "Gross joules of one call: all that the GPU board drew, from its own counter.", ENERGY, ("gross joules",)),
    Term(
        "energy_net_j",
        "Net joules of one call: gross minus what the idle board draws with a live context in the same time.",
        ENERGY,
        ("net joules",),
    ),
    Term("power_w", "Mean power of the board while an arm ran: joules over seconds.", ENERGY),
    Term(
        "energy_window_s",
        "Seconds over which joules were counted; windows begin and end on a tick of the counter, which moves about every 100 ms.",
        ENERGY,
        ("window",),
    ),
    Term("energy_calls", "Calls within such a window.", ENERGY),
    Term("energy_calls_error", "The most by which that number of calls can be wrong, as a share of it.", ENERGY),
    Term(
        "energy_counter_vs_power",
        "The counter's joules over the board's power summed up in the same windows, minus 1. More than 5 % apart is flagged.",
        ENERGY,
    ),
    Term("idle_power_w", "Power of the board with a context and nothing to do.", ENERGY),
    Term("idle_drift", "By how much that power changed from the beginning of a run to its end.", ENERGY),
    Term("MIG", "A GPU cut into parts. The board's counter then counts everybody's work, so no joules are measured.", ENERGY),
    Term(
        "interval",
        "Unless said otherwise the 95 % interval: where the true value lies, judged by how much the observations scatter.",
        STATISTICS,
        ("95 % interval",),
    ),
    Term("ratio", "How many times better the technique is; above 1 favours the technique, whatever is measured.", STATISTICS),
    Term(
        "looks",
        "Sampling may stop after 10, 20 or 40 observations. Looking several times would find differences by luck, so intervals are wider.",
        STATISTICS,
    ),
    Term("precision", "The half-width of an interval that ends sampling. It decides nothing else.", STATISTICS),
    Term(
        "batch means",
        "Neighbouring observations resemble each other. Intervals are widened for that by comparing means of batches.",
        STATISTICS,
        ("autocorrelation",),
    ),
    Term(
        "Holm",
        "Of many figures judged at once some would stand out by luck. Holm's procedure widens the intervals of a table's cells for that.",
        STATISTICS,
        ("Holm-adjusted",),
    ),
    Term("A/A", "An arm compared with itself: how often the lab sees a difference where there is none.", STATISTICS),
    Term(
        "held-out", "Data that was not trained on. Test data is used once, after every choice has been made on validation data.", STATISTICS
    ),
    Term(
        "grid edge", "The best setting tried was the last one of its grid: a better one may lie beyond, so there is no verdict.", STATISTICS
    ),
    Term("physical limit", "What the hardware can do at most, measured here: a copy's bandwidth, a matrix product's rate.", STATISTICS),
)
GROUPS: tuple[Group, ...] = (VERDICTS, COMPARING, TIME, ENERGY, STATISTICS)


def found(words: str, terms: Sequence[Term] = TERMS) -> list[Term]:
    """The terms that ``words`` occurs in, whatever its case: those named so first, then those whose meaning says it. "" finds all."""
    wanted = " ".join(words.casefold().split())
    named = [term for term in terms if any(wanted in name.casefold() for name in term.names)]
    return named + [term for term in terms if term not in named and wanted in term.meaning.casefold()]
