"""One code for one language: ISO 639-1 where it has one, whatever a model calls it."""

from collections import Counter
from collections.abc import Iterable, Mapping

# ISO 639-3 (and the bibliographic codes of 639-2) that have a two-letter code, the members of macrolanguages
# under which models label the standard form, and codes withdrawn from 639-1. `als` is left out on purpose:
# it is Tosk Albanian in ISO 639-3 and Alemannic in Wikipedia's codes, which lid.176 uses.
_TWO_LETTER = """
aar aa abk ab afr af aka ak alb sq amh am ara ar arb ar arg an arm hy asm as ava av ave ae aym ay aze az
azj az bak ba bam bm baq eu bel be ben bn bih bh bis bi bod bo bos bs bre br bul bg bur my cat ca ces cs
cha ch che ce chi zh chu cu chv cv cmn zh cor kw cos co cre cr cym cy cze cs dan da deu de div dv dut nl
dzo dz ekk et ell el eng en epo eo est et eus eu ewe ee fao fo fas fa fij fj fin fi fra fr fre fr fry fy
ful ff geo ka ger de gla gd gle ga glg gl glv gv gre el grn gn guj gu hat ht hau ha heb he her hz hin hi
hmo ho hrv hr hun hu hye hy ibo ig ice is ido io iii ii iku iu ile ie ina ia ind id ipk ik isl is ita it
jav jv jpn ja kal kl kan kn kas ks kat ka kau kr kaz kk khk mn khm km kik ki kin rw kir ky kmr ku kom kv
kon kg kor ko kua kj kur ku lao lo lat la lav lv lim li lin ln lit lt ltz lb lub lu lug lg lvs lv mac mk
mah mh mal ml mao mi mar mr may ms mkd mk mlg mg mlt mt mon mn mri mi msa ms mya my nau na nav nv nbl nr
nde nd ndo ng nep ne nld nl nno nn nob nb nor no npi ne nya ny oci oc oji oj ori or orm om ory or oss os
pan pa pbu ps per fa pes fa pli pi plt mg pol pl por pt pus ps que qu roh rm ron ro rum ro run rn rus ru
sag sg san sa sin si slk sk slo sk slv sl sme se smo sm sna sn snd sd som so sot st spa es sqi sq srd sc
srp sr ssw ss sun su swa sw swe sv swh sw tah ty tam ta tat tt tel te tgk tg tgl tl tha th tib bo tir ti
ton to tsn tn tso ts tuk tk tur tr twi tw uig ug ukr uk urd ur uzb uz uzn uz ven ve vie vi vol vo wel cy
wln wa wol wo xho xh ydd yi yid yi yor yo zha za zho zh zsm ms zul zu iw he in id ji yi jw jv mo ro
""".split()  # noqa: SIM905 - a table of pairs reads better so
TWO_LETTER: Mapping[str, str] = dict(zip(_TWO_LETTER[::2], _TWO_LETTER[1::2], strict=True))


def language_code(code: str) -> str:
    """The house's code for a language code or a fastText label; a script stays as it is.

    >>> [language_code(c) for c in ("__label__eng_Latn", "ZH", "zh-Hans", "ceb")]
    ['en_Latn', 'zh', 'zh_Hans', 'ceb']
    """
    language, _, script = code.removeprefix("__label__").replace("-", "_").partition("_")
    language = language.lower()
    language = TWO_LETTER.get(language, language)
    return f"{language}_{script.title()}" if script else language


def label_codes(labels: Iterable[str]) -> dict[str, str]:
    """A code for each label of a model, with the script only where the model tells scripts of it apart.

    >>> label_codes(["__label__eng_Latn", "__label__srp_Cyrl", "__label__srp_Latn"])
    {'__label__eng_Latn': 'en', '__label__srp_Cyrl': 'sr_Cyrl', '__label__srp_Latn': 'sr_Latn'}
    """
    codes = {label: language_code(label) for label in labels}
    times = Counter(code.partition("_")[0] for code in codes.values())
    return {
        label: code if times[code.partition("_")[0]] > 1 else code.partition("_")[0]
        for label, code in codes.items()
    }
