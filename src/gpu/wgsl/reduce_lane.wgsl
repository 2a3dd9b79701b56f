// One lane an output (or a share of one): for inputs whose fastest dim is kept, so that lanes read neighbours.
{{offsets}}
@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let item = (group.y * groups.x + group.x) * 256u + lane;
    if (item >= $items) { return; }
    let kept = item % $outputs;
    let share = item / $outputs;
    let stop = min($length, (share + 1u) * $chunk);
    let origin = kept_input(kept);
    var acc: {{acc}} = {{init}};
    for (var r = share * $chunk; r < stop; r = r + 1u) {
        let a = acc;
        let x = {{load}};
        let b = {{pre}};
        acc = {{combine}};
    }
    let x = acc;
    b0[{{to}}] = {{finish}};
}
