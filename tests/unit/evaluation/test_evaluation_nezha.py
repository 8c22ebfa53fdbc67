"""A day of pod metrics is read as an experiment: all series on one grid, and the faults that were injected."""

import gzip
import json
from datetime import UTC, datetime

import numpy as np
import pytest

from exporter.errors import BadDataError
from exporter.evaluation.datasets import read_dataset
from exporter.evaluation.labelled import Fault
from exporter.evaluation.nezha import metric_of
from exporter.series.labels import Series


def at(text):
    return datetime.fromisoformat(f"2022-08-22 {text}").replace(tzinfo=UTC).timestamp()


CART, WEB = "cart-579f5-wc2lz", "web-front-6cfdd-gfj6q"
HEADER = "Time,TimeStamp,PodName,CpuUsageRate(%),NetworkReceiveBytes,PodClientLatencyP90(s),PodSuccessRate(%)"


def go_time(minute, second):
    return f"2022-08-22 03:{minute:02d}:{second:012.9f} +0000 UTC m=+{60 * minute}.1"


def latency(pod, minute):
    return 0.25 if pod == CART else "NaN" if minute == 12 else minute / 100


def pod_rows(pod, minutes, second=19.6):
    jitter = [0.0, 0.9, -0.5]
    return [
        f"{go_time(minute, second + jitter[minute % 3])},9,{pod},{minute}.5,{100 * minute},{latency(pod, minute)},0"
        for minute in minutes
    ]


def write_gz(file, *lines):
    file.write_bytes(gzip.compress("\n".join(lines).encode()))


def fault_of(time, pod, kind, stamp=None):
    entry = {"inject_time": f"2022-08-22 {time}", "inject_pod": pod, "inject_type": kind}
    return entry | ({"inject_timestamp": stamp} if stamp else {})


FAULTS = {
    "04": [fault_of("03:40:10", WEB, "network_delay")],
    "03": [fault_of("03:20:54", CART, "cpu_contention", "1661138454"), fault_of("03:30:00", WEB, "exception")],
}


def write_day(root, day="2022-08-22", faults=FAULTS, cart=range(60), web=range(60)):
    folder = root / day
    folder.mkdir(parents=True)
    write_gz(folder / f"{CART}_metric.csv.gz", HEADER, *pod_rows(CART, cart))
    write_gz(folder / f"{WEB}_metric.csv.gz", HEADER, *pod_rows(WEB, web, 20.1))
    (folder / "faults.json").write_text(json.dumps(faults))
    return folder


def case_of(root):
    (experiment,) = read_dataset(root).experiments
    return experiment.case


def values_of(case, name, pod):
    (row,) = [row for row, series in enumerate(case.series) if series.name == name and ("pod", pod) in series.labels]
    return case.values[row]


def test_a_day_becomes_an_experiment_with_all_metrics_of_all_pods(tmp_path):
    write_day(tmp_path / "nezha")
    dataset = read_dataset(tmp_path / "nezha")
    assert (dataset.name, dataset.layout, dataset.cases) == ("nezha", "nezha", ())
    case = case_of(tmp_path / "nezha")
    assert (case.name, case.group_by, case.interval, case.windows) == ("2022-08-22", ("pod",), 60.0, ())
    assert case.series == tuple(
        Series(name, (("pod", pod),), type="gauge", unit=unit)
        for pod in (CART, WEB)
        for name, unit in [
            ("cpu_usage_rate_percent", "percent"),
            ("network_receive_bytes", "bytes"),
            ("pod_client_latency_p90_seconds", "seconds"),
        ]
    )
    assert case.values.shape == (6, 60)


def test_a_metric_that_never_changes_in_any_pod_is_left_out_but_not_one_that_changes_in_some(tmp_path):
    """`PodSuccessRate(%)` is 0 everywhere; the latency of the cart is constant, that of the other pod is not."""
    write_day(tmp_path)
    names = {series.name for series in case_of(tmp_path).series}
    assert "pod_success_rate_percent" not in names
    assert set(values_of(case_of(tmp_path), "pod_client_latency_p90_seconds", CART)) == {0.25}


def test_rows_written_around_the_same_second_come_to_the_same_instant(tmp_path):
    write_day(tmp_path)
    case = case_of(tmp_path)
    assert np.diff(case.times).tolist() == [60.0] * 59
    assert case.times[0] == at("03:00:19")
    for pod in (CART, WEB):
        assert values_of(case, "cpu_usage_rate_percent", pod).tolist() == [minute + 0.5 for minute in range(60)]
    assert np.flatnonzero(np.isnan(values_of(case, "pod_client_latency_p90_seconds", WEB))).tolist() == [12]


@pytest.mark.parametrize("second", [0.3, 30.0, 59.7])
def test_instants_stay_a_minute_apart_when_rows_are_written_around_a_full_minute(tmp_path, second):
    folder = write_day(tmp_path)
    jitter = [0.0, -0.9, 0.8]
    seconds = [60 * minute + 30 + second + jitter[minute % 3] for minute in range(40)]
    for pod in (CART, WEB):
        rows = [
            f"{go_time(int(one // 60), one % 60)},9,{pod},{number},{number},{number},0"
            for number, one in enumerate(seconds)
        ]
        write_gz(folder / f"{pod}_metric.csv.gz", HEADER, *rows)
    case = case_of(tmp_path)
    assert case.values.tolist() == [list(range(40))] * 6
    assert case.times[0] == at("03:00:00") + np.floor(30 + second)


def test_pods_of_different_lengths_with_lost_and_repeated_rows_share_one_grid(tmp_path):
    write_day(tmp_path, cart=[*range(10, 20), 19, 15, *range(25, 30)], web=range(5, 28))
    case = case_of(tmp_path)
    assert (case.times[0], case.times.size) == (at("03:05:20"), 25)
    cart, web = (values_of(case, "cpu_usage_rate_percent", pod) for pod in (CART, WEB))
    assert (np.flatnonzero(~np.isnan(cart)) + 5).tolist() == [*range(10, 20), *range(25, 30)]
    assert (np.flatnonzero(~np.isnan(web)) + 5).tolist() == list(range(5, 28))
    assert cart[10] == 15.5


def test_the_time_is_read_with_its_zone_and_the_wrong_column_is_not(tmp_path):
    folder = write_day(tmp_path)
    row = "2022-08-22 11:00:20.5 +0800 CST m=+0.1,999,cart,1,2,3,0"
    write_gz(folder / f"{CART}_metric.csv.gz", HEADER, row)
    case = case_of(tmp_path)
    assert case.times[0] == at("03:00:20")
    assert values_of(case, "network_receive_bytes", CART)[0] == 2


def test_infinite_values_are_no_values(tmp_path):
    folder = write_day(tmp_path)
    write_gz(folder / f"{CART}_metric.csv.gz", HEADER, f"{go_time(3, 20)},9,{CART},+Inf,,4,0")
    case = case_of(tmp_path)
    assert np.isnan(values_of(case, "cpu_usage_rate_percent", CART)).all()
    assert np.isnan(values_of(case, "network_receive_bytes", CART)).all()


def test_faults_come_in_order_of_time_and_tell_phase_and_metric(tmp_path):
    write_day(tmp_path)
    causes = {
        "cart": {"cpu_contention": "CpuUsageRate(%)"},
        "web-front": {"network_delay": "NetworkP90(ms)", "exception": "Placing order_Order placed"},
    }
    (tmp_path / "root_cause_metrics.json").write_text(json.dumps(causes))
    (experiment,) = read_dataset(tmp_path).experiments
    assert experiment.faults == (
        Fault(at("03:20:54"), CART, "cpu_contention", "cpu_usage_rate_percent"),
        Fault(at("03:30:00"), WEB, "exception", ""),
        Fault(at("03:40:10"), WEB, "network_delay", ""),
    )
    assert experiment.phase == (at("03:15:54"), at("03:45:10"))
    assert experiment.case.times[experiment.case.judged_from] == at("03:16:19")


def test_without_a_file_of_causes_faults_have_no_metric_and_one_beside_them_counts_too(tmp_path):
    folder = write_day(tmp_path)
    assert {fault.metric for fault in read_dataset(tmp_path).experiments[0].faults} == {""}
    (folder / "root_cause_metrics.json").write_text('{"cart": {"cpu_contention": "CpuUsageRate(%)"}}')
    assert read_dataset(folder).experiments[0].faults[0].metric == "cpu_usage_rate_percent"


def test_a_fault_whose_time_is_outside_of_the_metrics_is_placed_by_its_timestamp_if_that_is_inside(tmp_path):
    inside, outside = str(at("03:20:00")), str(at("09:00:00"))
    faults = [
        fault_of("11:20:00", CART, "a", inside),
        fault_of("11:30:00", CART, "b", outside),
        fault_of("03:40:00", CART, "c", inside),
    ]
    write_day(tmp_path, faults=faults)
    found = {fault.kind: fault.at for fault in read_dataset(tmp_path).experiments[0].faults}
    assert found == {"a": at("03:20:00"), "b": at("11:30:00"), "c": at("03:40:00")}


def test_calls_between_services_belong_to_the_pod_that_is_called(tmp_path):
    folder = write_day(tmp_path)
    rows = [f"{go_time(minute, 20.4)},9,0.00{minute},{'' if minute == 7 else 0.5}" for minute in range(60)]
    write_gz(folder / "source_50.csv.gz", "time,timestamp,web-front_cart,web-front_gone\r", *rows)
    case = case_of(tmp_path)
    labels = (("pod", CART), ("reporter", "source"), ("source", "web-front"))
    assert case.series[6:] == (Series("request_latency_p50_seconds", labels, type="gauge", unit="seconds"),)
    assert case.values[6] == pytest.approx([float(f"0.00{minute}") for minute in range(60)])


def test_days_come_in_order_and_other_folders_are_passed_over(tmp_path):
    write_day(tmp_path, "2022-08-23")
    write_day(tmp_path, "2022-08-22")
    (tmp_path / "notes").mkdir()
    assert [experiment.case.name for experiment in read_dataset(tmp_path).experiments] == ["2022-08-22", "2022-08-23"]


@pytest.mark.parametrize(
    ("column", "name", "unit"),
    [
        ("CpuUsage(m)", "cpu_usage_millicores", "millicores"),
        ("MemoryUsage(Mi)", "memory_usage_mebibytes", "mebibytes"),
        ("SyscallRead", "syscall_read", ""),
        ("NetworkTransmitBytes", "network_transmit_bytes", "bytes"),
        ("PodServerLatencyP99(s)", "pod_server_latency_p99_seconds", "seconds"),
        ("NetworkP90(ms)", "network_p90_milliseconds", "milliseconds"),
        ("PodWorkload(Ops)", "pod_workload_operations_per_second", "operations_per_second"),
        ("Queue(Jobs)", "queue_jobs", "jobs"),
    ],
)
def test_a_title_becomes_a_name_with_its_unit(column, name, unit):
    assert metric_of(column) == (name, unit)


@pytest.mark.parametrize(
    ("faults", "message"),
    [
        ([], r"faults\.json: names no fault"),
        ([{"inject_pod": "a"}], r"faults\.json: expected a fault with the texts inject_time, inject_pod, inject_type"),
        ({"03": "x"}, r"faults\.json: expected a fault with the texts"),
        ([fault_of("soon", CART, "a")], r"faults\.json: the times of .* cannot be read"),
        ([fault_of("03:00:00", CART, "a", "soon")], r"faults\.json: the times of .* cannot be read"),
        ([fault_of("03:00:00", CART, "a", [1])], r"faults\.json: the times of .* cannot be read"),
    ],
)
def test_a_mistake_in_the_faults_is_named(tmp_path, faults, message):
    write_day(tmp_path, faults=faults)
    with pytest.raises(BadDataError, match=message):
        read_dataset(tmp_path)


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["PodName,Cpu", "a,1"], r"gz:1: no column Time among PodName, Cpu"),
        (["Time,Cpu"], r"gz: has no rows"),
        (["Time,Cpu", f"{go_time(1, 0)},1", "soon,2"], r"gz:3: column Time: expected a time .* found 'soon'"),
        (["Time,Cpu", f"{go_time(1, 0)},<nil>"], r"gz:2: column Cpu: expected a number, found '<nil>'"),
    ],
)
def test_a_mistake_in_a_pod_file_is_named_with_its_line(tmp_path, lines, message):
    folder = write_day(tmp_path)
    write_gz(folder / f"{CART}_metric.csv.gz", *lines)
    with pytest.raises(BadDataError, match=rf"{CART}_metric\.csv\.{message}"):
        read_dataset(tmp_path)


def test_damaged_files_and_a_day_without_change_are_named(tmp_path):
    folder = write_day(tmp_path, cart=[3], web=[3])
    with pytest.raises(BadDataError, match=r"no metric in any .* file ever changes"):
        read_dataset(tmp_path)
    file = folder / f"{CART}_metric.csv.gz"
    whole = file.read_bytes()
    for damaged in (whole[:-9], b"Time,Cpu", whole[:20] + b"xxxx" + whole[24:]):
        file.write_bytes(damaged)
        with pytest.raises(BadDataError, match=r"gz: cannot be read as CSV"):
            read_dataset(tmp_path)
    write_day(tmp_path, "2022-08-23")
    file.write_bytes(whole)
    (tmp_path / "root_cause_metrics.json").write_text("[]")
    with pytest.raises(BadDataError, match=r"root_cause_metrics\.json: expected"):
        read_dataset(tmp_path / "2022-08-23")
