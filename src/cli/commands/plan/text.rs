//! A plan for people: tables with columns that line up, estimates marked with `~`.

use crate::cli::report::amount;
use crate::cli::table::columns;
use crate::cli::units::{human_bytes, human_count};
use crate::extract::forecast::{
    AgentForecast, FindingKind, Forecast, SourceFigures, WrittenFigures,
};

/// Agents, nodes and findings of a table that are listed; `--json` has them all.
const MAX_LISTED: usize = 32;

macro_rules! line {
    ($out:expr, $($arg:tt)*) => {
        $out.push_str(&format!("{}\n", format!($($arg)*).trim_end()))
    };
}

/// The whole plan.
pub(super) fn render(plan: &Forecast) -> String {
    let mut out = String::new();
    tables(plan, &mut out);
    nodes(plan, &mut out);
    agents(plan, &mut out);
    findings(plan, &mut out);
    cost(plan, &mut out);
    for table in &plan.excluded {
        line!(out, "left out: {}.{}, {}", table.keyspace, table.table, table.why);
    }
    if !plan.excluded.is_empty() {
        out.push('\n');
    }
    commands(plan, &mut out);
    out.push('\n');
    line!(out, "~ rows   {}", plan.basis.rows);
    line!(out, "  objects  {}", plan.basis.objects);
    line!(out, "~ bytes  {}", plan.basis.bytes);
    line!(out, "~ time   {}", plan.basis.seconds);
    out
}

fn head(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn objects(written: &WrittenFigures) -> String {
    let sure = if written.objects_unsure > 0 { "~" } else { "" };
    let more = match written.static_objects_at_most + written.deletes_objects_at_most {
        0 => String::new(),
        most => format!(" (+{most})"),
    };
    format!("{sure}{}{more}", written.objects)
}

fn read(source: &SourceFigures) -> [String; 5] {
    [
        source.sstables.to_string(),
        human_bytes(source.disk_bytes),
        human_bytes(source.data_bytes),
        format!("~{}", human_count(source.partitions)),
        format!("~{}", human_count(source.rows)),
    ]
}

fn tables(plan: &Forecast, out: &mut String) {
    let mut rows = vec![head(&[
        "table",
        "sstables",
        "on disk",
        "data",
        "partitions",
        "rows",
        "objects",
        "written",
    ])];
    let row = |name: String, source: &SourceFigures, written: &WrittenFigures| {
        let mut row = vec![name];
        row.extend(read(source));
        row.extend([objects(written), format!("~{}", human_bytes(written.bytes))]);
        row
    };
    for table in &plan.tables {
        let name = format!("{}.{}", table.keyspace, table.table);
        rows.push(row(name, &table.source, &table.written));
    }
    rows.push(row("total".to_owned(), &plan.total.source, &plan.total.written));
    out.push_str(&columns(&rows));
    out.push('\n');
}

/// One node says nothing that the tables do not say.
fn nodes(plan: &Forecast, out: &mut String) {
    if plan.nodes.len() < 2 {
        return;
    }
    let mut rows =
        vec![head(&["node", "table", "sstables", "on disk", "data", "partitions", "rows"])];
    for node in &plan.nodes {
        for table in &node.tables {
            let mut row = vec![node.name.clone(), format!("{}.{}", table.keyspace, table.table)];
            row.extend(read(&table.source));
            rows.push(row);
        }
        let mut row = vec![node.name.clone(), "total".to_owned()];
        row.extend(read(&node.total));
        rows.push(row);
    }
    out.push_str(&columns(&rows));
    out.push('\n');
}

fn who(agent: &AgentForecast) -> String {
    if let Some(shard) = &agent.shard {
        return format!("shard {shard}");
    }
    let known = [&agent.node, &agent.address, &agent.host_id];
    let names: Vec<&str> = known.iter().filter_map(|name| name.as_deref()).collect();
    if names.is_empty() { "-".to_owned() } else { names.join(" ") }
}

fn agents(plan: &Forecast, out: &mut String) {
    let mut rows = vec![head(&[
        "agent",
        "of",
        "data center",
        "rack",
        "reads",
        "rows",
        "objects",
        "written",
        "time",
    ])];
    for agent in plan.agents.iter().take(MAX_LISTED) {
        let mut row = vec![agent.agent.to_string(), who(agent)];
        let or_none = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
        row.extend([or_none(&agent.data_center), or_none(&agent.rack)]);
        match (&agent.source, &agent.written, agent.seconds) {
            (Some(source), Some(written), Some(seconds)) => row.extend([
                human_bytes(source.data_bytes),
                format!("~{}", human_count(written.rows)),
                objects(written),
                format!("~{}", human_bytes(written.bytes)),
                format!("~{}", human_seconds(seconds)),
            ]),
            _ => row.push("not here: the same plan on that node says it".to_owned()),
        }
        rows.push(row);
    }
    out.push_str(&columns(&rows));
    if plan.agents.len() > MAX_LISTED {
        line!(out, "and {} more (--json)", amount_of(plan.agents.len() - MAX_LISTED, "agent"));
    }
    let speed = &plan.speed;
    let per_second = human_bytes(speed.bytes_per_second);
    let by = match speed.given {
        true => format!("{per_second}/s of uncompressed data, as given"),
        false => format!(
            "{per_second}/s of uncompressed data, usual for {}; --rate says otherwise",
            amount(speed.threads, "thread")
        ),
    };
    line!(out, "time: ~{} at {by}", human_seconds(plan.seconds));
    out.push('\n');
}

fn findings(plan: &Forecast, out: &mut String) {
    for table in plan.tables.iter().filter(|table| !table.findings.is_empty()) {
        line!(out, "{}.{} in profile {}:", table.keyspace, table.table, plan.profile);
        let mut rows = Vec::new();
        for finding in table.findings.iter().take(MAX_LISTED) {
            let kind = match finding.kind {
                FindingKind::Refused => "refused",
                FindingKind::Possible => "possible",
                FindingKind::Lost => "lost",
                FindingKind::Changed => "changed",
            };
            let hint = finding.hint.as_ref().map(|hint| format!(" ({hint})")).unwrap_or_default();
            rows.push(vec![
                format!("  {kind}"),
                finding.column.clone().unwrap_or_else(|| "-".to_owned()),
                format!("{}{hint}", finding.what),
            ]);
        }
        out.push_str(&columns(&rows));
        if table.findings.len() > MAX_LISTED {
            line!(out, "  and {} more (--json)", table.findings.len() - MAX_LISTED);
        }
        out.push('\n');
    }
}

fn cost(plan: &Forecast, out: &mut String) {
    let cost = &plan.cost;
    let requests = &cost.requests;
    let mut rows = vec![
        vec![
            "DynamoDB write units".to_owned(),
            format!("~{}", human_count(cost.dynamodb_write_units)),
            format!("{} of items", human_bytes(cost.dynamodb_item_bytes)),
        ],
        vec![
            "DynamoDB import".to_owned(),
            format!("~{}", human_bytes(cost.import_bytes)),
            String::new(),
        ],
        vec![
            "S3 storage".to_owned(),
            format!("~{}", human_bytes(cost.stored_bytes)),
            String::new(),
        ],
        vec![
            "S3 requests".to_owned(),
            format!("~{}", human_count(requests.total)),
            format!(
                "{} objects, {} for parts, {} of its own",
                requests.puts, requests.multipart, requests.own
            ),
        ],
    ];
    if let Some(hours) = cost.dms_hours {
        rows.push(vec!["DMS".to_owned(), format!("~{hours:.2} h"), "at the rate given".to_owned()]);
    }
    for priced in &cost.priced {
        rows.push(vec![
            format!("price of {}", priced.item.as_str()),
            format!("~{:.2}", priced.amount),
            format!("{:.3} at {}", priced.units, priced.price),
        ]);
    }
    out.push_str(&columns(&rows));
    out.push('\n');
}

fn commands(plan: &Forecast, out: &mut String) {
    let mut former = "";
    for agent in plan.agents.iter().take(MAX_LISTED) {
        if agent.command == former {
            line!(out, "# agent {}: {}, the same", agent.agent, who(agent));
            continue;
        }
        line!(out, "# agent {}: {}", agent.agent, who(agent));
        line!(out, "{}", agent.command);
        former = &agent.command;
    }
    if plan.agents.len() > MAX_LISTED {
        line!(out, "# and {} more (--json)", amount_of(plan.agents.len() - MAX_LISTED, "agent"));
    }
    if let Some(seal) = &plan.seal {
        line!(out, "# when all agents are done");
        line!(out, "{seal}");
    }
}

fn amount_of(count: usize, what: &str) -> String {
    amount(count as u64, what)
}

/// A time for people.
fn human_seconds(seconds: f64) -> String {
    if seconds < 60.0 {
        format!("{seconds:.1} s")
    } else if seconds < 3600.0 {
        format!("{:.0} min", seconds / 60.0)
    } else {
        format!("{:.1} h", seconds / 3600.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_the_unit_that_fits() {
        assert_eq!(human_seconds(0.04), "0.0 s");
        assert_eq!(human_seconds(600.0), "10 min");
        assert_eq!(human_seconds(9000.0), "2.5 h");
    }
}
