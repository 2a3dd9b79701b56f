// Elements by index along one dim. An index outside the dim reads zero and writes nothing.
@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let at = (group.y * groups.x + group.x) * 256u + lane;
    if (at >= $n) { return; }
    var rest = at;
    var e0 = $o0;
    var e1 = $o1;
    var e2 = $o2;
{{walk}}
    let chosen = b2[e2];
    let inside = chosen >= {{index}}(0) && chosen < {{index}}($size);
    let place = select(0u, u32(chosen), inside) * $step;
{{move}}
}
