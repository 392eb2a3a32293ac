//! A directory as transformers keeps a tokenizer: `tokenizer.json`, and `tokenizer_config.json` with what is said of it.
//!
//! The class is named `PreTrainedTokenizerFast`, which transformers 4 and 5 both read as "what tokenizer.json says".
//! Both files are written atomically, the configuration last.
//!
//! Source: transformers 5.23, `tokenization_utils_base.py`.

use std::path::Path;

use serde_json::{Map, Value, json};

use crate::error::{Error, Result};
use crate::files::write_atomically;
use crate::tokenizer::Tokenizer;

/// The special token that ends a text: the template's, or one by the names in use.
pub(super) fn end_of_text(tokenizer: &Tokenizer) -> Option<u32> {
    const NAMES: [&str; 6] = ["<|endoftext|>", "<|end_of_text|>", "</s>", "<|end|>", "<eos>", "<|im_end|>"];
    let specials = tokenizer.specials().tokens();
    let named = |name: &&str| specials.iter().find(|token| token.content == *name).map(|token| token.id);
    tokenizer.template().1.first().copied().or_else(|| NAMES.iter().find_map(named))
}

/// Writes the configuration beside a `tokenizer.json` that stands there already.
pub(super) fn write_configuration(tokenizer: &Tokenizer, directory: &Path) -> Result<()> {
    let content = |id: u32| tokenizer.specials().get(id).map(|token| Value::from(token.content.as_str()));
    let mut configuration = Map::new();
    configuration.insert("tokenizer_class".into(), "PreTrainedTokenizerFast".into());
    for (key, id) in [("bos_token", tokenizer.template().0.first().copied()), ("eos_token", end_of_text(tokenizer))] {
        if let Some(text) = id.and_then(content) {
            configuration.insert(key.into(), text);
        }
    }
    // Decoding gives the text back, and nothing is cut.
    configuration.insert("clean_up_tokenization_spaces".into(), json!(false));
    configuration.insert("model_max_length".into(), json!(1u64 << 62));
    let bytes = serde_json::to_vec_pretty(&configuration).map_err(|error| Error::Internal(error.to_string()))?;
    write_atomically(&directory.join("tokenizer_config.json"), &bytes)
}
