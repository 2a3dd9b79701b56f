// Where the greatest (or least) element of each row lies: a workgroup a row. NaN beats numbers, the first of equals wins.
var<workgroup> best_value: array<{{acc}}, 256>;
var<workgroup> best_index: array<u32, 256>;
{{offsets}}
// Whether element (b, j) takes the place of (a, i); j = 0xffffffff stands for none.
fn beats(b: {{acc}}, j: u32, a: {{acc}}, i: u32) -> bool {
    if (j == 0xffffffffu) { return false; }
    if (i == 0xffffffffu) { return true; }
    let nan_a = {{nan_a}};
    let nan_b = {{nan_b}};
    if (nan_a || nan_b) { return nan_b && (!nan_a || j < i); }
    return b {{order}} a || (b == a && j < i);
}

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let item = group.y * groups.x + group.x;
    let live = item < $items;
    let stop = select(0u, $length, live);
    let origin = kept_input(item);
    var value: {{acc}} = {{acc}}(0);
    var index = 0xffffffffu;
    for (var r = lane; r < stop; r = r + 256u) {
        let x = {{load}};
        if (beats(x, r, value, index)) {
            value = x;
            index = r;
        }
    }
    best_value[lane] = value;
    best_index[lane] = index;
    workgroupBarrier();
    for (var half = 128u; half > 0u; half = half >> 1u) {
        if (lane < half && beats(best_value[lane + half], best_index[lane + half], best_value[lane], best_index[lane])) {
            best_value[lane] = best_value[lane + half];
            best_index[lane] = best_index[lane + half];
        }
        workgroupBarrier();
    }
    if (lane == 0u && live) {
        b0[kept_output(item)] = {{out}}(best_index[0]);
    }
}
