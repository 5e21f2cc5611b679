"""The data sets of reasoning-gym 0.1.25: how the answers of each look, and how it is scored.

Kinds were chosen by looking at twenty right answers of each. `easy` and `hard` are parameters
around reasoning-gym's own, which are the setting `default`; `easy` suits a small model. Their
values are written as in a name (the module params reads them); `terms=6..10` is `min_terms=6
max_terms=10`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from cl_bench.contract.answers import Kind

MADE_FOR = "0.1.25"
"""The version of reasoning-gym that this table was made for."""

_MATHS = (
    r"(?=.{1,400}$)(?!.*[0-9]{13})(?!.*\*\* *[0-9]{3})(?!.*\*\*[(0-9 )]*\*\*)"
    r"(?:[-+*/(), 0-9]|\b(?:a?(?:sin|cos|tan)h?|sec|csc|cot|exp|log|sqrt|Abs|[xXyzCE]|pi)\b)+"
)
"""Numbers, operators and the names of functions that an expression may have, no towering powers."""
_STATEMENTS = r"(?:\w+ is an? \w+(?:(?:,|\.)? and |[,.] ?|$))+"
_MOVES = r"[LRUDFBMESxyzlrudfb' ]+"


@dataclass(frozen=True, slots=True)
class Adapted:
    """How one data set is drawn and scored."""

    kind: Kind
    easy: str = ""
    """The parameters of that setting, as in `max_value=20 min_value=1`; empty: there is none."""
    hard: str = ""
    gold: str = ""
    """The metadata that hold a right answer, where the item itself gives none."""
    allowed: str = ""
    """The pattern that a whole answer has to match to be scored at all; empty: any text."""
    judge: str = ""
    """The comparison in `scoring` that replaces reasoning-gym's scorer; empty: none does."""
    apart: str = ""
    """Why it is drawn and scored in a process of its own; empty: it is not."""
    choices: tuple[str, ...] = ()
    """Between what an answer of the kind `choice` chooses."""
    cased: bool = False
    """Whether a small letter says something else than its capital."""
    fresh: bool = False
    """Whether an item has to come from an instance of its own, because instances remember."""
    version: int = 1
    """Of what is done here: seeds, splits, reading and scoring answers."""

    def parameters(self, setting: str) -> dict[str, str]:
        """The texts of what a setting changes; nothing for `default`, nor if there is none."""
        texts: dict[str, str] = {}
        for pair in {"easy": self.easy, "hard": self.hard}.get(setting, "").split():
            name, _, text = pair.partition("=")
            least, both, most = text.partition("..")
            texts |= {f"min_{name}": least, f"max_{name}": most} if both else {name: text}
        return texts


_TRUTH = ("False", "True")
_HASH = "its items depend on the order of sets"
_SYMPY = "sympy reads the answer"

SETS: Mapping[str, Adapted] = {
    "ab": Adapted("line", "length=4", "length=20"),
    "acre": Adapted("choice", fresh=True, choices=("off", "on", "undetermined"), version=2),
    "advanced_geometry": Adapted("line", "coord=-4..4", allowed=r"[-+0-9.(), °]+"),
    "aiw": Adapted("number", "max_entities=3", "max_entities=12"),
    "arc_1d": Adapted("line", "max_size=12"),
    "arc_agi": Adapted("text"),
    "base_conversion": Adapted("line", "max_base=10 max_value=31", "value=1000..1000000"),
    "basic_arithmetic": Adapted("number", "max_terms=2 max_digits=1", "terms=5..8 digits=2..3"),
    "bf": Adapted("line", apart="its compiler prints"),
    "binary_alternation": Adapted("number", "n=8..12", "n=30..60"),
    "binary_matrix": Adapted("text", "max_n=3", "n=10..16", judge="same text"),
    "bitwise_arithmetic": Adapted(
        "line", "difficulty=1", "difficulty=4", allowed=r"[-+]?(?:0x[0-9a-fA-F]+|[0-9]+)"
    ),
    "caesar_cipher": Adapted("line", "words=1..3 max_rotation=3", "words=20..40"),
    "calendar_arithmetic": Adapted(
        "line",
        "tasks=weekday_offset offset_upper_bound=14",
        "offset_upper_bound=1000 leap_year_range=2000",
    ),
    "chain_sum": Adapted("number", "max_terms=2 max_digits=2", "terms=6..10 digits=3..6"),
    "circuit_logic": Adapted("number", "terms=2..2", "terms=6..10"),
    "coin_flip": Adapted("number", "max_trials=6", "trials=15..40", judge="close"),
    "color_cube_rotation": Adapted("line", "max_rotations=1", "rotations=5..12"),
    "complex_arithmetic": Adapted(
        "line",
        "real=-4..4 imag=-4..4 operations=+,- operations_weights=0.5,0.5",
        "real=-100..100 imag=-100..100",
        allowed=r"[-+0-9.ij() ]+",
    ),
    "count_bits": Adapted("number", "max_n=255", "n=2147483648..281474976710656"),
    "count_primes": Adapted("number", "max_n=100", "n=1000..50000"),
    "countdown": Adapted(
        "line", "numbers=3..3 max_value=20 target=10..99", "numbers=6..8", judge="expression"
    ),
    "course_schedule": Adapted(
        "choice",
        "num_courses=3..5 max_cycle_length=3",
        "num_courses=15..30",
        choices=_TRUTH,
        version=2,
    ),
    "cryptarithm": Adapted("line", allowed=r"[A-Z0-9=, ]+"),
    "decimal_arithmetic": Adapted("number", "num_decimal_places=1..1 max_terms=2", "terms=6..10"),
    "decimal_chain_sum": Adapted(
        "number", "max_terms=2 max_digits=1 max_decimal_places=1", "terms=6..10 digits=3..6"
    ),
    "dice": Adapted("number", "num_dice=2 max_dice_size=12", "num_dice=6"),
    "emoji_mystery": Adapted("line", "max_words_in_sentence=5", "min_words_in_sentence=20"),
    "family_relationships": Adapted("line", "max_family_size=4", "family_size=8..12"),
    "figlet_font": Adapted("line", "max_word_len=3", "min_word_len=6"),
    "fraction_simplification": Adapted(
        "line", "max_value=20 max_factor=5 styles=plain", "value=100..10000 max_factor=1000"
    ),
    "futoshiki": Adapted("text", "max_board_size=4 max_difficulty=0"),
    "game_of_life": Adapted(
        "text", "grid_size_x=4 grid_size_y=4 filled_cells=5", "simulation_steps=3"
    ),
    "game_of_life_halting": Adapted(
        "choice",
        "grid_size_x=8 grid_size_y=8 num_oscillators=2 max_simulation_steps=5",
        judge="same",
        choices=_TRUTH,
        version=2,
    ),
    "gcd": Adapted("number", "max_value=20", "max_numbers=3 max_value=10000"),
    "graph_color": Adapted(
        "text",
        "num_vertices=5..5 edge_probability=0.4",
        "num_vertices=15..20 edge_probability=0.2",
        gold="possible_answer",
    ),
    "group_anagrams": Adapted(
        "text", "max_anagram_groups=2 max_words_per_group=2", "anagram_groups=10..20"
    ),
    "gsm_symbolic": Adapted("number", judge="same", fresh=True),
    "intermediate_integration": Adapted("line", allowed=_MATHS, apart=_SYMPY),
    "isomorphic_strings": Adapted(
        "choice",
        "max_string_length=4",
        "string_length=15..30",
        apart=_HASH,
        choices=_TRUTH,
        version=2,
    ),
    "jugs": Adapted("text", "difficulty=4", "difficulty=20"),
    "kakurasu": Adapted("text", hard="rows=6..7 cols=6..7", allowed=r"[01,\s]+", version=2),
    "knight_swap": Adapted("text", apart=_HASH),
    "knights_knaves": Adapted("line", hard="n_people=4", allowed=_STATEMENTS, version=2),
    "largest_island": Adapted(
        "number",
        "max_rows=5 max_cols=5 num_islands=1..2 island_size=1..6",
        "rows=12..20 cols=12..20 max_num_islands=10",
    ),
    "lcm": Adapted("number", "max_value=12", "max_numbers=3 max_value=1000"),
    "leg_counting": Adapted(
        "number", "animals=1..2 max_instances=5", "animals=8..20 max_instances=50"
    ),
    "letter_counting": Adapted("number", "words=4..6", "words=30..60"),
    "letter_jumble": Adapted(
        "line",
        "words=1..2 max_word_len=6 max_corruption_level=0.3",
        "words=15..30",
        judge="same",
        version=2,
    ),
    "list_functions": Adapted("line", apart="it draws from the global generator", fresh=True),
    "mahjong_puzzle": Adapted(
        "choice", "num_rounds=3..6", choices=("Chi", "Pass", "Peng"), version=2
    ),
    "manipulate_matrix": Adapted(
        "text", "max_rows=3 max_cols=3 max_transforms=1", "min_rows=8 min_cols=8 transforms=6..15"
    ),
    "maze": Adapted("number", "dist=2..4 max_grid_size=6", "dist=10..20 grid_size=15..25"),
    "mini_sudoku": Adapted("text", "empty=2..5"),
    "modulo_grid": Adapted("text", "size_x=6 size_y=6 max_divisor=4 max_target=3"),
    "n_queens": Adapted("text", "n=5 max_remove=2", judge="queens"),
    "needle_haystack": Adapted("line", "num_statements=3..6", "num_statements=150..300"),
    "number_filtering": Adapted(
        "line", "max_numbers=4 max_decimals=0", "numbers=20..40", judge="numbers"
    ),
    "number_format": Adapted("number", "max_num_candidates=2 max_n=10000", "num_candidates=10..20"),
    "number_sequence": Adapted(
        "number", "max_terms=5 value=0..20 max_complexity=1", "max_complexity=5"
    ),
    "number_sorting": Adapted(
        "line", "max_numbers=4 max_decimals=0", "numbers=20..40", judge="numbers"
    ),
    "palindrome_generation": Adapted("line", "max_length=4", "length=15..25"),
    "palindrome_partitioning": Adapted("text", "string_len=3..5 max_substring_palindrome_len=3"),
    "path_star": Adapted(
        "line", "degree=2 node_range=100 max_path_length=3", "degree=5 path_length=6..10"
    ),
    "polynomial_equations": Adapted(
        "line",
        "max_terms=2 max_value=10 max_degree=1",
        "terms=4..6",
        allowed=r"[-+]?[0-9.]{1,30}(?: *, *[-+]?[0-9.]{1,30})*",
    ),
    "polynomial_multiplication": Adapted(
        "line",
        "max_terms=2 max_value=9 max_degree=1 max_polynomials=2",
        "polynomials=3..4",
        allowed=_MATHS,
        apart=_SYMPY,
    ),
    "pool_matrix": Adapted(
        "text",
        "max_rows=4 max_cols=4 max_pool_size=2",
        "rows=10..15 cols=10..15",
        allowed=r"[-+0-9.e \n]+",
        apart="it seeds the global generator of NumPy",
    ),
    "power_function": Adapted("number", "base=-10.0..10.0 exponent=1..2", "exponent=6..12"),
    "prime_factorization": Adapted(
        "line",
        "max_value=100",
        "value=1000..100000",
        allowed=r"[0-9]{1,20}(?: *× *[0-9]{1,20}){0,60}",
    ),
    "products": Adapted("number", "max_digits=2", "digits=3..8"),
    "puzzle24": Adapted("line", "max_value=6", judge="expression"),
    "quantum_lock": Adapted(
        "line", "difficulty=3", "difficulty=20", allowed=r"[A-Ca-c](?:[ ,→>-]+[A-Ca-c])*"
    ),
    "ransom_note": Adapted(
        "choice",
        "max_note_length=3 max_magazine_length=6",
        "note_length=15..30 magazine_length=30..60",
        apart=_HASH,
        choices=_TRUTH,
        version=2,
    ),
    "rearc": Adapted("text"),
    "rectangle_count": Adapted("number", "max_rectangles=3 width=20 height=20"),
    "rotate_matrix": Adapted("text", "max_n=3 max_rotations=2", "n=8..15 max_rotations=20"),
    "rotten_oranges": Adapted("number", "n=3..5"),
    "rubiks_cube": Adapted(
        "line",
        "scramble_steps=1..3",
        "scramble_steps=15..30",
        gold="example_correct_answer",
        allowed=_MOVES,
        cased=True,
        version=2,
    ),
    "self_reference": Adapted("number"),
    "sentence_reordering": Adapted("line", "max_words_in_sentence=4", "min_words_in_sentence=15"),
    "shortest_path": Adapted("line", "rows=3..4 cols=3..4", "rows=10..15 cols=10..15"),
    "simple_equations": Adapted("number", "max_terms=2 max_value=20", "terms=4..8 max_value=1000"),
    "simple_geometry": Adapted("number", "max_sides=4", "sides=6..12"),
    "simple_integration": Adapted(
        "line", "max_terms=2 max_degree=3", "terms=5..8", allowed=_MATHS, apart=_SYMPY
    ),
    "sokoban": Adapted("line", allowed=r"[LRUD]+"),
    "spell_backward": Adapted("line", "max_word_len=4", "min_word_len=8"),
    "spiral_matrix": Adapted("line", "max_n=3", "n=8..12", judge="same"),
    "string_insertion": Adapted(
        "line", "max_string_length=8", "string_length=25..50", judge="same"
    ),
    "string_manipulation": Adapted(
        "line", "max_string_length=8 max_num_rules=4", "string_length=20..40 num_rules=6..12"
    ),
    "string_splitting": Adapted("line", "max_initial_machines=3", "initial_machines=6..12"),
    "string_synthesis": Adapted("line", "max_initial_blocks=3", "initial_blocks=6..12"),
    "sudoku": Adapted("text", "empty=5..15"),
    "survo": Adapted(
        "text",
        "max_board_size=4 empty=3..3",
        "board_size=5..6 empty=8..12",
        allowed=r"[0-9\s]+",
        version=2,
    ),
    "syllogism": Adapted(
        "choice", "allow_some=false allow_some_not=false", choices=("No", "Yes"), version=2
    ),
    "time_intervals": Adapted(
        "line",
        "task_types=time max_time_difference_seconds=3600",
        "task_types=datetime,datetime_tz max_date_difference_days=1000",
    ),
    "tower_of_hanoi": Adapted("text", "disks=2..4", "min_disks=6"),
    "tsumego": Adapted("line"),
    "word_ladder": Adapted("line", "word_length=3..3", "word_length=5..5", apart=_HASH),
    "word_sequence_reversal": Adapted("line", "words=2..3", "words=15..30"),
    "word_sorting": Adapted(
        "line", "max_words=4 max_word_length=6", "words=15..30", judge="list", version=2
    ),
    "zebra_puzzles": Adapted("line", "num_people=3 num_characteristics=2"),
}
"""The data sets that are adapted."""

LEFT_OUT: Mapping[str, str] = {
    "boxnet": "no right answer comes with an item",
    "codeio": (
        "drawing an item executes a program that a language model wrote, and the same item does "
        "not always come out the same"
    ),
    "composite": "it mixes other data sets; a stream of several gym/NAME does the same",
    "propositional_logic": (
        "a premise repeated, or anything that is always true, scores 1: nothing has to be inferred"
    ),
    "rush_hour": "no right answer comes with an item",
}
"""The data sets that are not adapted, and why."""
