// One workgroup an output (or a share of one): lanes stride over the reduced elements, then fold as a fixed tree.
var<workgroup> shared_acc: array<{{acc}}, 256>;
{{offsets}}
@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let item = group.y * groups.x + group.x;
    // No lane may leave before the barriers, so a surplus workgroup folds nothing and writes nothing.
    let live = item < $items;
    let kept = item % $outputs;
    let share = item / $outputs;
    let stop = select(0u, min($length, (share + 1u) * $chunk), live);
    let origin = kept_input(kept);
    var acc: {{acc}} = {{init}};
    for (var r = share * $chunk + lane; r < stop; r = r + 256u) {
        let a = acc;
        let x = {{load}};
        let b = {{pre}};
        acc = {{combine}};
    }
    shared_acc[lane] = acc;
    workgroupBarrier();
    for (var half = 128u; half > 0u; half = half >> 1u) {
        if (lane < half) {
            let a = shared_acc[lane];
            let b = shared_acc[lane + half];
            shared_acc[lane] = {{combine}};
        }
        workgroupBarrier();
    }
    if (lane == 0u && live) {
        let x = shared_acc[0];
        b0[{{to}}] = {{finish}};
    }
}
