//! What `plan` takes: the options of `extract`, and what is told of it.

use clap::builder::BoolishValueParser;

use super::args::ExtractArgs;
use super::config::{output_target, run_options};
use super::settings::Settings;
use super::units::{ByteSize, Pair, parse_rate};
use crate::error::{Error, Result};
use crate::extract::forecast::{Price, PriceItem};
use crate::extract::{ExtractOptions, OutputTarget};

/// `plan`.
#[derive(Debug, clap::Args)]
pub struct PlanArgs {
    /// The extract.
    #[command(flatten)]
    pub extract: ExtractArgs,
    /// What is told of it.
    #[command(flatten)]
    pub report: PlanReportArgs,
}

/// What `plan` tells.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Plan")]
pub struct PlanReportArgs {
    /// Print one JSON document in place of text
    #[arg(long, value_parser = BoolishValueParser::new())]
    pub json: bool,
    /// How fast one agent works, in uncompressed bytes of Data.db [default: 500MB/s per thread]
    #[arg(long, value_name = "RATE", value_parser = parse_rate)]
    pub rate: Option<ByteSize>,
    /// How fast the loader takes what is written, for the hours of DMS [default: --rate, if given]
    #[arg(long, value_name = "RATE", value_parser = parse_rate)]
    pub load_rate: Option<ByteSize>,
    /// The price of something, in any currency (repeatable)
    ///
    /// write-units (a million write request units of DynamoDB), import (a GB imported from S3), requests (a thousand to
    /// S3), storage (a GB in S3 for a month), dms (an hour).
    #[arg(long, value_name = "ITEM=AMOUNT")]
    pub price: Vec<Pair>,
}

/// Checks the options of `plan`: those of `extract`, where the output may be left open, and the prices.
pub fn plan_options(args: &PlanArgs, settings: &Settings) -> Result<(ExtractOptions, Vec<Price>)> {
    let extract = &args.extract;
    let output = output_target(&extract.records)?.unwrap_or(OutputTarget::Discard);
    let mut prices = Vec::new();
    for pair in &args.report.price {
        let usage = |words: String| Error::usage(format!("--price: {words}"));
        let item: PriceItem = pair.left.parse().map_err(usage)?;
        let amount = pair.right.parse::<f64>().ok().filter(|a| a.is_finite() && *a >= 0.0);
        let amount = amount.ok_or_else(|| usage(format!("{:?} is no amount", pair.right)))?;
        if prices.iter().any(|price: &Price| price.item == item) {
            return Err(usage(format!("two prices of {}", item.as_str())));
        }
        prices.push(Price { item, amount });
    }
    Ok((run_options(extract, output, settings)?, prices))
}
