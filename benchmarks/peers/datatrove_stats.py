"""The numbers that datatrove's quality filters compare with thresholds, for documents of ours.

    /path/to/peer/python benchmarks/peers/datatrove_stats.py < documents.jsonl

Reads one JSON string a line; prints, for each kind of words, a list of numbers for each statistic. Its filters keep
these numbers to themselves, so the ratios are taken here as each filter takes them, from datatrove's own functions
for words, sentences, duplicates and n-grams. "default" has its default words (spaCy's), "split" those of str.split;
"as_defined" asks the same functions for what docs/signals.md defines: where its numbers then equal ours, that page
names every cause of a difference.
"""

import json
import re
import sys
from importlib import metadata

import regex
from datatrove.pipeline.filters.c4_filters import END_PUNCTUATION
from datatrove.pipeline.filters.gopher_quality_filter import STOP_WORDS
from datatrove.pipeline.filters.gopher_repetition_filter import (
    find_all_duplicate,
    find_duplicates,
    find_top_duplicate,
    get_n_grams,
)
from datatrove.utils.text import (
    PUNCTUATION_SET,
    TERMINAL_PUNCTUATION,
    split_into_sentences,
    split_into_words,
)

AROUND = regex.compile(r"^[^\p{L}\p{N}\p{M}]+|[^\p{L}\p{N}\p{M}]+$")
WORDS = {"default": split_into_words, "split": str.split}
QUOTES_AND_ELLIPSIS = tuple("\"'”’»›」』…")
BULLETS = tuple("•‣⁃∙·▪▫■□●○◦▶◀►–-*")


def ratio(part, whole):
    return part / whole if whole else None


def gopher_quality(text, words):
    named = [word for word in words if any(char not in PUNCTUATION_SET for char in word)]
    lines = text.splitlines()
    with_alpha = sum(any(char.isalpha() for char in word) for word in words)
    starts = sum(line.lstrip().startswith(("•", "-")) for line in lines)
    ends = sum(line.rstrip().endswith(("...", "…")) for line in lines)
    return {
        "word_count": len(named),
        "mean_word_length": ratio(sum(map(len, named)), len(named)),
        "hash_to_word_ratio": ratio(text.count("#"), len(words)),
        "ellipsis_to_word_ratio": ratio(text.count("...") + text.count("…"), len(words)),
        "fraction_of_lines_starting_with_bullet": ratio(starts, len(lines)),
        "fraction_of_lines_ending_with_ellipsis": ratio(ends, len(lines)),
        "fraction_of_words_with_alpha": ratio(with_alpha, len(words)),
        "distinct_stop_words": len(set(STOP_WORDS) & set(words)),
    }


def gopher_repetition(text, words):
    size = len(text)
    paragraphs = re.split(r"\n{2,}", text.strip())
    lines = re.split(r"\n+", text)
    same_paragraphs, same_lines = find_duplicates(paragraphs), find_duplicates(lines)
    found = {
        "duplicate_line_fraction": ratio(same_lines[0], len(lines)),
        "duplicate_line_char_fraction": ratio(same_lines[1], size),
        "duplicate_paragraph_fraction": ratio(same_paragraphs[0], len(paragraphs)),
        "duplicate_paragraph_char_fraction": ratio(same_paragraphs[1], size),
    }
    for n in (2, 3, 4):
        grams = get_n_grams(words, n)
        found[f"top_{n}gram_char_fraction"] = ratio(find_top_duplicate(grams), size) if grams else None
    for n in range(5, 11):
        repeated = find_all_duplicate(words, n)
        found[f"duplicate_{n}gram_char_fraction"] = ratio(repeated, size) if len(words) >= n else None
    return found


def fineweb(text, words):
    lines = [line for line in text.split("\n") if line.strip()]
    ends = sum(line.endswith(tuple(TERMINAL_PUNCTUATION)) for line in lines)
    return {
        "fraction_of_lines_ending_with_terminal_punctuation": ratio(ends, len(lines)),
        "short_line_fraction": ratio(sum(len(line) <= 30 for line in lines), len(lines)),
        "fineweb_duplicate_line_char_fraction": ratio(find_duplicates(lines)[1], len(text.replace("\n", ""))),
        "newline_to_word_ratio": ratio(text.count("\n"), len(words)),
    }


def c4(text):
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    ends = sum(line.endswith(END_PUNCTUATION) and not line.endswith("...") for line in lines)
    return {
        "sentence_count": len(split_into_sentences(text)),
        "c4_sentence_count": sum(len(split_into_sentences(line)) for line in lines),
        "c4_terminal_line_fraction": ratio(ends, len(lines)),
        "javascript_line_fraction": ratio(sum("javascript" in line.lower() for line in lines), len(lines)),
        "curly_brace_count": text.count("{"),
        "lorem_ipsum_count": text.lower().count("lorem ipsum"),
        "max_word_length": max(map(len, text.split()), default=0),
    }


def bare(words):
    """Without punctuation and symbols around them, in lower case."""
    return [word for word in (AROUND.sub("", word).lower() for word in words) if word]


def stripped_paragraphs(text):
    """Lines without white space around them, blank ones left out, as one string for each paragraph."""
    text = "\n".join(line.strip() for line in text.split("\n"))
    return [part.strip("\n") for part in re.split(r"\n{2,}", text) if part.strip("\n")]


def top_of(grams):
    """0 if none occurs twice; ties go to the longest, since Counter prefers what it met first."""
    once = len(set(grams)) == len(grams)
    return 0 if once else find_top_duplicate(sorted(grams, key=len, reverse=True))


def as_defined(text):
    """Our definitions by datatrove's functions, on text written with spaces."""
    tokens = text.split()
    words = bare(tokens)
    paragraphs = stripped_paragraphs(text)
    lines = [line for part in paragraphs for line in part.split("\n")]
    in_words, in_lines = sum(map(len, words)), sum(map(len, lines))
    found = gopher_quality("\n".join(lines), words) | fineweb("\n".join(lines), words)
    with_alpha = sum(any(char.isalpha() for char in word) for word in tokens)
    same_lines, same_paragraphs = find_duplicates(lines), find_duplicates(paragraphs)
    same_breaks = sum(
        part.count("\n") for k, part in enumerate(paragraphs) if part in paragraphs[:k]
    )  # newlines are no characters of a line
    ends = (*TERMINAL_PUNCTUATION, *QUOTES_AND_ELLIPSIS)
    found |= {
        "fraction_of_words_with_alpha": ratio(with_alpha, len(tokens)),
        "newline_to_word_ratio": ratio(text.count("\n"), len(words)),
        "fraction_of_lines_starting_with_bullet": ratio(
            sum(line.startswith(BULLETS) for line in lines), len(lines)
        ),
        "fraction_of_lines_ending_with_terminal_punctuation": ratio(
            sum(line.endswith(ends) for line in lines), len(lines)
        ),
        "duplicate_line_fraction": ratio(same_lines[0], len(lines)),
        "duplicate_line_char_fraction": ratio(same_lines[1], in_lines),
        "fineweb_duplicate_line_char_fraction": ratio(same_lines[1], in_lines),
        "duplicate_paragraph_fraction": ratio(same_paragraphs[0], len(paragraphs)),
        "duplicate_paragraph_char_fraction": ratio(same_paragraphs[1] - same_breaks, in_lines),
        "max_word_length": max(map(len, words), default=0),
    }
    for n in (2, 3, 4):
        grams = ["".join(words[k : k + n]) for k in range(len(words) - n + 1)]
        found[f"top_{n}gram_char_fraction"] = ratio(min(top_of(grams), in_words), in_words)
    for n in range(5, 11):
        found[f"duplicate_{n}gram_char_fraction"] = ratio(find_all_duplicate(words, n), in_words)
    return found


def main():
    texts = [json.loads(line) for line in sys.stdin]
    report = {"versions": {name: metadata.version(name) for name in ("datatrove", "spacy")}}
    of_lines = [c4(text) for text in texts]  # does not ask for words
    for name, split in WORDS.items():
        rows = []
        for text, already in zip(texts, of_lines, strict=True):
            words = split(text)
            rows.append(
                gopher_quality(text, words) | gopher_repetition(text, words) | fineweb(text, words) | already
            )
        report[name] = {key: [row[key] for row in rows] for key in rows[0]}
    rows = [as_defined(text) for text in texts]
    report["as_defined"] = {key: [row[key] for row in rows] for key in rows[0]}
    print(json.dumps(report))


if __name__ == "__main__":
    main()
