//! Several machines, each with an engine of its own.

mod common;

use common::engines::Engines;

/// The fixture itself: what the other tests stand on.
#[test]
fn machines_fail_and_return_and_leave_nothing_behind() {
    let engines = Engines::start(3);
    let [one, two, three] = &engines.machines[..] else { panic!("not three") };
    for machine in [one, two, three] {
        let run = ["run", "-d", "--name", "job", "--entrypoint", "/bin/sleep", "clusteria/try:1", "1000"];
        machine.docker(&run);
        assert_eq!(machine.docker(&["ps", "--format", "{{.Names}}"]), "job\n");
    }
    let pid =
        |machine: &common::engines::Machine| machine.docker(&["inspect", "-f", "{{.State.Pid}}", "job"]);
    let before = pid(one);
    one.kill_engine();
    one.start_engine();
    assert_eq!(pid(one), before, "live-restore");
    two.freeze();
    two.thaw();
    assert_eq!(two.docker(&["ps", "--format", "{{.Names}}"]), "job\n");
    three.power_off();
    three.start_engine();
    assert_eq!(three.docker(&["ps", "--format", "{{.Names}}"]), "");
    let reach = || {
        std::net::TcpStream::connect_timeout(&(two.address, 2376).into(), std::time::Duration::from_secs(1))
    };
    reach().unwrap();
    two.cut();
    reach().unwrap_err();
    two.join();
    common::eventually("the link is back", common::SOON, || reach().ok());
}
