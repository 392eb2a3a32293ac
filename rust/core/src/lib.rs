//! Exact byte-level BPE: training, encoding, counting and decoding.
//!
//! ```text
//! bytes -> pretokens -> counts -> merges -> tokenizer -> ids and counts
//!          pretokenize  words     train     tokenizer    encode
//! ```
//!
//! Each module imports only from those before it: [`error`], [`interrupt`], [`threads`], [`files`], `blocks`, `prefetch`,
//! [`table`], [`normalize`], [`pretokenize`], [`special`], [`words`], [`train`](mod@train), [`model`], `merge`, `cache`,
//! `encode`, [`decode`], `batch`, [`tokenizer`], [`offsets`], `cut`, [`stream`], [`formats`]. Read them in this order.
//! Nothing here knows of Python.
//!
//! # Example: train, encode, count, decode
//! ```
//! use tokfast::{EncodeOptions, Interrupt, Pretokenizer, Tokenizer, TrainOptions, Unit, WordCounter};
//!
//! let text = b"low lower lowest, low lower lowest";
//! let never = Interrupt::never();
//! let pretokenizer = Pretokenizer::new(Some("gpt2"))?;
//! let counter = WordCounter::new(pretokenizer.clone(), &[], Unit::Document, 1)?;
//! counter.add_documents(&[text], &never)?;
//! let tokenizer = Tokenizer::train(&counter.finish(&never)?, pretokenizer, 266, &[], &TrainOptions::default(), &never)?;
//!
//! let ids = tokenizer.encode(b"lower slow", &EncodeOptions::default(), &never)?;
//! assert_eq!(tokenizer.count(b"lower slow", &EncodeOptions::default(), &never)?, ids.len() as u64);
//! assert_eq!(tokenizer.decode(&ids)?, b"lower slow");
//! # Ok::<(), tokfast::Error>(())
//! ```

pub mod decode;
pub mod error;
pub mod files;
pub mod formats;
pub mod interrupt;
pub mod model;
pub mod normalize;
pub mod offsets;
pub mod pretokenize;
pub mod special;
pub mod stream;
pub mod table;
pub mod threads;
pub mod tokenizer;
pub mod train;
pub mod words;

mod batch;
mod blocks;
mod cache;
mod cut;
mod encode;
mod merge;
mod prefetch;

pub use cache::CacheStats;
pub use error::{Error, Result};
pub use interrupt::{Interrupt, Phase, Progress};
pub use model::Model;
pub use pretokenize::Pretokenizer;
pub use special::{SpecialToken, Which};
pub use tokenizer::{Batch, EncodeOptions, FileCount, Report, Tokenizer};
pub use train::{ByteOrder, TrainOptions, Trained, TrainedMerge, train};
pub use words::{Corpus, Unit, WordCounter, WordCounts};
