// One optimizer step, an element a lane. Buffers: parameter, gradient, then the step's own state.
@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let at = (group.y * groups.x + group.x) * 256u + lane;
    if (at >= $n) { return; }
    var p = b0[$o0 + at];
    var g = b1[$o1 + at] * {{sign}};
{{step}}
    b0[$o0 + at] = p;
}
