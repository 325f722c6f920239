"""Every stage that ships with corpusmill: its YAML name, where it lives, and the extra it needs.

This is the only lazy import in the house: a stage's module, with whatever it needs, loads when a config
names it. Other people's packages add theirs through the entry point group `corpusmill.stages`.
"""

from pipeline.stage import StageRef

STAGES: dict[str, StageRef] = {
    # sources
    "read_warc": StageRef("stages.sources.warc:ReadWarc"),
    "read_jsonl": StageRef("stages.sources.jsonl:ReadJsonl"),
    "read_parquet": StageRef("stages.sources.parquet:ReadParquet"),
    "read_html": StageRef("stages.sources.html:ReadHtml"),
    "read_text": StageRef("stages.sources.text:ReadText"),
    "read_arrow": StageRef("stages.sources.arrow:ReadArrow"),
    "read_benchmark": StageRef("stages.sources.benchmark:ReadBenchmark"),
    "read_lm_eval": StageRef("stages.sources.lm_eval:ReadLmEval", extra="lm-eval"),
    # extraction and normalization
    "extract_html": StageRef("stages.extraction.html:ExtractHtml"),
    "chunk_long_documents": StageRef("stages.normalization.chunk:ChunkLongDocuments"),
    "repair_text": StageRef("stages.normalization.unicode:RepairText"),
    "convert_chinese": StageRef("stages.normalization.chinese:ConvertChinese", extra="chinese"),
    # signals
    "identify_language": StageRef("stages.signals.language:IdentifyLanguage"),
    "identify_paragraph_languages": StageRef("stages.signals.paragraph_languages:IdentifyParagraphLanguages"),
    "classify_text": StageRef("stages.signals.classify:ClassifyText"),
    "train_quality_classifier": StageRef("stages.signals.train_quality_classifier:TrainQualityClassifier"),
    "perplexity": StageRef("stages.signals.perplexity:Perplexity"),
    "train_language_model": StageRef("stages.signals.train_language_model:TrainLanguageModel"),
    "text_signals": StageRef("stages.signals.text:TextSignals"),
    "machine_text_signals": StageRef("stages.signals.machine_text:MachineTextSignals"),
    "mark_machine_text": StageRef("stages.signals.machine_text_mark:MarkMachineText"),
    "embed_text": StageRef("stages.signals.embed:EmbedText"),
    # filters
    "gopher_rules": StageRef("stages.filters.gopher:GopherRules"),
    "gopher_repetition": StageRef("stages.filters.gopher:GopherRepetition"),
    "fineweb_rules": StageRef("stages.filters.fineweb:FinewebRules"),
    "c4_rules": StageRef("stages.filters.c4:C4Rules"),
    "refinedweb_rules": StageRef("stages.filters.refinedweb:RefinedwebRules"),
    "boilerplate_rules": StageRef("stages.filters.boilerplate:BoilerplateRules"),
    "filter_length": StageRef("stages.filters.length:FilterLength"),
    "filter_column": StageRef("stages.filters.columns:FilterColumn"),
    "filter_url": StageRef("stages.filters.url:FilterUrl"),
    "tag_url": StageRef("stages.filters.tag_url:TagUrl"),
    "filter_metadata": StageRef("stages.filters.metadata:FilterMetadata"),
    # deduplication
    "exact_dedup": StageRef("stages.dedup.exact:ExactDedup"),
    "url_dedup": StageRef("stages.dedup.url:UrlDedup"),
    "minhash_dedup": StageRef("stages.dedup.minhash:MinhashDedup"),
    "build_minhash_index": StageRef("stages.dedup.build_minhash_index:BuildMinhashIndex"),
    "minhash_against": StageRef("stages.dedup.minhash_against:MinhashAgainst"),
    "build_bloom_filter": StageRef("stages.dedup.build_bloom:BuildBloomFilter"),
    "bloom_dedup": StageRef("stages.dedup.bloom:BloomDedup"),
    "ngram_dedup": StageRef("stages.dedup.ngram:NgramDedup"),
    "line_dedup": StageRef("stages.dedup.line:LineDedup"),
    "substring_dedup": StageRef("stages.dedup.substring:SubstringDedup"),
    "train_clusters": StageRef("stages.dedup.train_clusters:TrainClusters"),
    "semantic_dedup": StageRef("stages.dedup.semantic:SemanticDedup"),
    # decontamination
    "build_ngram_index": StageRef("stages.decontamination.build_index:BuildNgramIndex"),
    "count_ngram_hits": StageRef("stages.decontamination.count_hits:CountNgramHits"),
    "decontaminate": StageRef("stages.decontamination.decontaminate:Decontaminate"),
    "write_benchmark_lists": StageRef("stages.decontamination.write_lists:WriteBenchmarkLists"),
    "build_item_vectors": StageRef("stages.decontamination.build_vectors:BuildItemVectors"),
    "find_similar_items": StageRef("stages.decontamination.find_similar:FindSimilarItems"),
    # safety
    "scrub_pii": StageRef("stages.safety.pii:ScrubPii"),
    "bad_words": StageRef("stages.safety.bad_words:BadWords"),
    # dialogues
    "parse_dialogue": StageRef("stages.dialogue.parse:ParseDialogue"),
    "check_dialogue": StageRef("stages.dialogue.check:CheckDialogue"),
    "tokenize_dialogue": StageRef("stages.dialogue.tokenize:TokenizeDialogue"),
    # mixing
    "plan_mixture": StageRef("stages.mixing.plan_mixture:PlanMixture"),
    "mix_documents": StageRef("stages.mixing.mix_documents:MixDocuments"),
    "order_documents": StageRef("stages.mixing.order:OrderDocuments"),
    # tokenization and sinks
    "tokenize": StageRef("stages.tokenization.tokenize:Tokenize"),
    "train_tokenizer": StageRef("stages.tokenization.train_tokenizer:TrainTokenizer"),
    "write_token_shards": StageRef("stages.sinks.token_shards:WriteTokenShards"),
    "write_megatron": StageRef("stages.sinks.megatron:WriteMegatron"),
    "write_memmap": StageRef("stages.sinks.memmap:WriteMemmap"),
    "write_mds": StageRef("stages.sinks.mds:WriteMds"),
    "write_webdataset": StageRef("stages.sinks.webdataset:WriteWebdataset"),
    "write_fairseq": StageRef("stages.sinks.fairseq:WriteFairseq"),
    "write_plain_text": StageRef("stages.sinks.plain_text:WritePlainText"),
    "write_jsonl": StageRef("stages.sinks.jsonl:WriteJsonl"),
    "write_parquet": StageRef("stages.sinks.parquet:WriteParquet"),
    "write_arrow": StageRef("stages.sinks.arrow:WriteArrow"),
}
