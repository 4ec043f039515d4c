//! What a run and the load behind it make somebody pay for: quantities, and prices where the user gives them.

use std::str::FromStr;
use std::time::Duration;

use serde::Serialize;

use crate::output::Profile;
use crate::store::s3::Transfer;

use super::model::TableForecast;
use super::size::{float, whole};

/// DynamoDB counts writes by this many bytes.
const WRITE_UNIT: u64 = 1024;
/// Requests of an agent besides its files: run, claim, report, manifest, the state's removal, last status.
const PER_AGENT: u64 = 8;
/// Requests of a seal: schema, files for loaders, `complete.json`.
const PER_SEAL: u64 = 8;
/// Requests at each heartbeat: claim and status.
const PER_BEAT: f64 = 2.0;

/// What costs.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Cost {
    /// DynamoDB's write request units to put every row as an item.
    pub dynamodb_write_units: u64,
    /// Bytes of all items as DynamoDB stores them.
    pub dynamodb_item_bytes: u64,
    /// Bytes that an import from S3 is billed for: items as DynamoDB JSON.
    pub import_bytes: u64,
    /// Bytes written, which S3 keeps until they are removed.
    pub stored_bytes: u64,
    /// Requests that write to S3.
    pub requests: Requests,
    /// Hours that a DMS task loads at the rate given; none without one.
    pub dms_hours: Option<f64>,
    /// What was given a price.
    pub priced: Vec<Priced>,
}

/// Requests to S3 that are billed as PUT, POST or LIST.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Requests {
    /// Small objects.
    pub puts: u64,
    /// Parts of large ones, with the beginning and the end of each upload.
    pub multipart: u64,
    /// State, claims, status, manifests and files for loaders.
    pub own: u64,
    /// All.
    pub total: u64,
}

/// What can have a price.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum PriceItem {
    /// A million write request units.
    WriteUnits,
    /// A GB (10^9 bytes) of an import.
    Import,
    /// A thousand requests.
    Requests,
    /// A GB in S3 for a month.
    Storage,
    /// An hour of a DMS instance.
    Dms,
}

impl PriceItem {
    const ALL: [(Self, &'static str); 5] = [
        (Self::WriteUnits, "write-units"),
        (Self::Import, "import"),
        (Self::Requests, "requests"),
        (Self::Storage, "storage"),
        (Self::Dms, "dms"),
    ];

    /// As the option spells it.
    pub fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|(item, _)| *item == self).map_or("", |(_, name)| name)
    }
}

impl FromStr for PriceItem {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL.iter().find(|(_, name)| *name == text).map(|(item, _)| *item).ok_or_else(|| {
            let names: Vec<&str> = Self::ALL.iter().map(|(_, name)| *name).collect();
            format!("{text:?} has no price here, only {}", names.join(", "))
        })
    }
}

/// A price of the user's.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Price {
    /// Of what.
    pub item: PriceItem,
    /// For one unit of it, in any currency.
    pub amount: f64,
}

/// Something with its price.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Priced {
    /// What.
    pub item: PriceItem,
    /// How many units.
    pub units: f64,
    /// What one costs.
    pub price: f64,
    /// What all cost.
    pub amount: f64,
}

/// What the costs depend on besides the tables.
pub(super) struct Drivers<'a> {
    pub(super) profile: Profile,
    pub(super) transfer: Transfer,
    pub(super) agents: u64,
    pub(super) splits: u64,
    /// Seconds that all agents together work.
    pub(super) seconds: f64,
    pub(super) heartbeat: Duration,
    pub(super) load_rate: Option<u64>,
    pub(super) prices: &'a [Price],
}

/// Adds up what costs. `values`: of each table, values of an average record.
pub(super) fn cost(tables: &[(TableForecast, u64)], drivers: &Drivers<'_>) -> Cost {
    let mut cost = Cost {
        dynamodb_write_units: 0,
        dynamodb_item_bytes: 0,
        import_bytes: 0,
        stored_bytes: 0,
        requests: Requests::default(),
        dms_hours: None,
        priced: Vec::new(),
    };
    for (table, values) in tables {
        let rows = table.written.rows;
        let item = table.item_bytes;
        cost.dynamodb_write_units += rows.saturating_mul(item.div_ceil(WRITE_UNIT));
        cost.dynamodb_item_bytes += rows.saturating_mul(item);
        // `{"Item":{}}` and a line end, and of each value its type, quotes and punctuation.
        cost.import_bytes += rows.saturating_mul(item + 12 + values * 12);
        cost.stored_bytes += table.written.bytes;
        let (puts, multipart) =
            requests(table.written.bytes, table.written.objects, &drivers.transfer);
        cost.requests.puts += puts;
        cost.requests.multipart += multipart;
    }
    let beats = drivers.seconds / drivers.heartbeat.as_secs_f64().max(1.0) * PER_BEAT;
    // The state is written at every split, empty ones included.
    cost.requests.own = drivers.splits + drivers.agents * PER_AGENT + PER_SEAL + whole(beats);
    cost.requests.total = cost.requests.puts + cost.requests.multipart + cost.requests.own;
    if drivers.profile == Profile::Dms {
        let hours = |rate: u64| float(cost.stored_bytes) / float(rate.max(1)) / 3600.0;
        cost.dms_hours = drivers.load_rate.map(hours);
    }
    let priced = |price: &Price| {
        let giga = 1e9;
        let units = match price.item {
            PriceItem::WriteUnits => float(cost.dynamodb_write_units) / 1e6,
            PriceItem::Import => float(cost.import_bytes) / giga,
            PriceItem::Requests => float(cost.requests.total) / 1e3,
            PriceItem::Storage => float(cost.stored_bytes) / giga,
            PriceItem::Dms => cost.dms_hours?,
        };
        let (item, price) = (price.item, price.amount);
        Some(Priced { item, units, price, amount: units * price })
    };
    cost.priced = drivers.prices.iter().filter_map(priced).collect();
    cost
}

/// Requests for `objects` objects that have `bytes` together: those of small ones, and of large ones with their parts.
fn requests(bytes: u64, objects: u64, transfer: &Transfer) -> (u64, u64) {
    let average = bytes.checked_div(objects).unwrap_or(0);
    if average <= transfer.part_size {
        return (objects, 0);
    }
    let parts = average.div_ceil(transfer.part_size);
    (0, objects.saturating_mul(parts + 2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_objects_have_parts_and_small_ones_have_none() {
        let transfer = Transfer { part_size: 10, largest_part: 10, in_flight: 10 };
        assert_eq!(requests(30, 3, &transfer), (3, 0));
        assert_eq!(requests(33, 3, &transfer), (0, 12));
        assert_eq!(requests(0, 0, &transfer), (0, 0));
    }

    #[test]
    fn every_price_has_a_name_that_reads_back() {
        for (item, name) in PriceItem::ALL {
            assert_eq!(name.parse(), Ok(item));
            assert_eq!(item.as_str(), name);
        }
        assert!("gold".parse::<PriceItem>().unwrap_err().contains("write-units, import"));
    }
}
