use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Decimal128Type, Int32Type, Int64Type};
use arrow_array::{Array, RecordBatch};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::file::metadata::{ParquetMetaData, ParquetMetaDataReader};

use crate::cql::CqlType;
use crate::output::record::tests::{Built, table};
use crate::output::{
    ColumnType, Compression, Count, FormatOptions, Profile, RecordFormat, RecordWriter,
};
use crate::schema::TableMetadata;

fn writer(table: &TableMetadata, change: impl FnOnce(&mut FormatOptions)) -> RecordWriter {
    let mut options = FormatOptions::new(Profile::Parquet, 0);
    change(&mut options);
    RecordWriter::new(Arc::new(RecordFormat::new(table, &options).unwrap()))
}

/// The bytes of a file, taken as a worker takes them.
fn finished(mut writer: RecordWriter, mut file: Vec<u8>) -> Vec<u8> {
    writer.finish_file().unwrap();
    file.extend_from_slice(writer.buffer());
    file
}

fn metadata(file: &[u8]) -> ParquetMetaData {
    let bytes = bytes::Bytes::copy_from_slice(file);
    ParquetMetaDataReader::new().parse_and_finish(&bytes).unwrap()
}

fn batches(file: &[u8]) -> Vec<RecordBatch> {
    let bytes = bytes::Bytes::copy_from_slice(file);
    let reader = ParquetRecordBatchReaderBuilder::try_new(bytes).unwrap().build().unwrap();
    reader.map(Result::unwrap).collect()
}

#[test]
fn row_groups_end_by_their_bytes_and_the_file_is_always_the_same() {
    let table = table(&[("pk", CqlType::Int)], &[], &[], &[("v", CqlType::Blob)]);
    let noise = |seed: u32| {
        let mut state = u64::from(seed) | 1 << 40;
        let next = |_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(99);
            state.to_be_bytes()[0]
        };
        (0..100_000).map(next).collect::<Vec<u8>>()
    };
    let write = || {
        let mut writer = writer(&table, |_| {});
        let (mut file, mut most) = (Vec::new(), 0);
        for i in 0..800_u32 {
            writer.start_partition(&i.to_be_bytes()).unwrap();
            let row = Built::default().cell(&table, "v", &noise(i));
            writer.write_row(row.view()).unwrap();
            writer.settle().unwrap();
            most = most.max(writer.buffer().len());
            file.extend_from_slice(writer.buffer());
            writer.clear();
        }
        (finished(writer, file), most)
    };
    let (file, most) = write();
    assert!(most < usize::try_from(super::PER_WORKER).unwrap() / 2, "{most}");
    let metadata = metadata(&file);
    assert_eq!(metadata.file_metadata().num_rows(), 800);
    assert_eq!(metadata.num_row_groups(), 3);
    for group in metadata.row_groups().iter().take(2) {
        assert!((30 << 20..40 << 20).contains(&group.total_byte_size()));
    }
    let read = batches(&file);
    let keys = read.iter().flat_map(|b| b.column(0).as_primitive::<Int32Type>().values().to_vec());
    assert!(keys.eq(0..800));
    assert_eq!(read[0].column(1).as_binary::<i32>().value(5), noise(5));
    assert!(file == write().0, "the same rows gave other bytes");
}

#[test]
fn a_row_that_is_refused_leaves_nothing_in_any_column() {
    let list = CqlType::List { element: Box::new(CqlType::Timestamp), frozen: false };
    let table = table(
        &[("pk", CqlType::Int)],
        &[],
        &[],
        &[("a", CqlType::Text), ("l", list), ("z", CqlType::Timestamp)],
    );
    let mut writer = writer(&table, |_| {});
    let row = |n: u8, late: i64| {
        Built::default()
            .cell(&table, "a", &[b'a' + n])
            .element(&table, "l", &[0; 16], &0_i64.to_be_bytes())
            .element(&table, "l", &[1; 16], &late.to_be_bytes())
    };
    for n in 0..4_u8 {
        writer.start_partition(&[0, 0, 0, n]).unwrap();
        let late = if n == 2 { i64::MAX } else { 1 };
        let written = writer.write_row(row(n, late).view());
        assert_eq!(written.is_err(), n == 2, "{written:?}");
    }
    assert_eq!(writer.stats().counts.of(Count::RefusedTimestamps), 1);
    let file = finished(writer, Vec::new());
    let read = &batches(&file)[0];
    assert_eq!(read.num_rows(), 3);
    assert_eq!(read.column(0).as_primitive::<Int32Type>().values().to_vec(), [0, 1, 3]);
    let texts: Vec<_> = read.column(1).as_string::<i32>().iter().flatten().collect();
    assert_eq!(texts, ["a", "b", "d"]);
    assert_eq!(read.column(2).as_list::<i32>().value(2).len(), 2);
    assert_eq!(read.column(3).null_count(), 3);
}

#[test]
fn numbers_are_decimals_where_that_was_asked_for() {
    let table = table(
        &[("pk", CqlType::Int)],
        &[],
        &[],
        &[("d", CqlType::Decimal), ("t", CqlType::Timestamp)],
    );
    let mut writer = writer(&table, |options| {
        options.column_types.insert("d".into(), "decimal(5,2)".parse().unwrap());
        options.column_types.insert("t".into(), ColumnType::Int8);
    });
    writer.start_partition(&[0; 4]).unwrap();
    let row = |unscaled: u8| {
        Built::default().cell(&table, "d", &[0, 0, 0, 1, 0, unscaled]).cell(
            &table,
            "t",
            &i64::MIN.to_be_bytes(),
        )
    };
    writer.write_row(row(15).view()).unwrap();
    let too_large = Built::default().cell(&table, "d", &[0, 0, 0, 0, 0x7f, 0xff]);
    let refusal = writer.write_row(too_large.view()).unwrap_err();
    assert!(refusal.to_string().contains("key {\"pk\": 0}"), "{refusal}");
    assert_eq!(writer.stats().counts.of(Count::RefusedNumbers), 1);
    let file = finished(writer, Vec::new());
    let read = &batches(&file)[0];
    assert_eq!(read.column(1).as_primitive::<Decimal128Type>().value(0), 150);
    assert_eq!(read.column(2).as_primitive::<Int64Type>().value(0), i64::MIN);

    let mut options = FormatOptions::new(Profile::Parquet, 0);
    options.column_types.insert("d".into(), ColumnType::Numeric(None));
    assert!(RecordFormat::new(&table, &options).is_err());
}

#[test]
fn files_say_what_they_are_of_and_depend_on_no_time() {
    let table = table(&[("pk", CqlType::Int)], &[], &[], &[("Name", CqlType::Text)]);
    for compression in [Compression::Zstd, Compression::Snappy, Compression::None] {
        let mut writer = writer(&table, |options| options.compression = compression);
        writer.start_partition(&[0; 4]).unwrap();
        writer.write_row(Built::default().cell(&table, "Name", b"x").view()).unwrap();
        let file = finished(writer, Vec::new());
        let metadata = metadata(&file);
        let entries = metadata.file_metadata().key_value_metadata().unwrap();
        let of = |key: &str| {
            entries.iter().find(|entry| entry.key == key).and_then(|entry| entry.value.clone())
        };
        assert_eq!(of("cassport.keyspace").unwrap(), "ks");
        assert!(of("cassport.columns").unwrap().contains(r#""name":"name","of":"Name""#));
        let codec = format!("{:?}", metadata.row_group(0).column(0).compression()).to_lowercase();
        assert!(codec.contains(match compression {
            Compression::None => "uncompressed",
            other => other.as_str(),
        }));
        assert!(metadata.row_group(0).column(0).statistics().is_some());
    }
}

#[test]
fn a_split_without_rows_has_no_file() {
    let table = table(&[("pk", CqlType::Int)], &[], &[], &[]);
    assert!(finished(writer(&table, |_| {}), Vec::new()).is_empty());
}
