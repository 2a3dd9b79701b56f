// A tile of the product a workgroup, a smaller one a lane; both operands staged through workgroup memory.
// Loads are guarded one by one: outside the operands lies other tensors' memory.
var<workgroup> tile_a: array<{{acc}}, {{size_a}}>;
var<workgroup> tile_b: array<{{acc}}, {{size_b}}>;

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    var batch = group.z + $z0;
    var p0 = $o0;
    var p1 = $o1;
    var p2 = $o2;
    {{bias_base}}
{{batch}}
    let m0 = group.y * {{bm}}u;
    let n0 = group.x * {{bn}}u;
    let lane_m = (lane / {{lanes_n}}u) * {{tm}}u;
    let lane_n = (lane % {{lanes_n}}u) * {{tn}}u;
{{zero}}
    for (var k0 = 0u; k0 < $k; k0 = k0 + {{bk}}u) {
        for (var i = lane; i < {{bm}}u * {{bk}}u; i = i + 256u) {
            {{split_a}}
            var v: {{acc}} = {{acc}}(0);
            if (m0 + row < $m && k0 + col < $k) { v = {{load_a}}; }
            tile_a[col * {{bm}}u + row] = v;
        }
        for (var i = lane; i < {{bk}}u * {{bn}}u; i = i + 256u) {
            {{split_b}}
            var v: {{acc}} = {{acc}}(0);
            if (k0 + row < $k && n0 + col < $n) { v = {{load_b}}; }
            tile_b[row * {{bn}}u + col] = v;
        }
        workgroupBarrier();
        for (var s = 0u; s < {{bk}}u; s = s + 1u) {
            let at_a = s * {{bm}}u + lane_m;
            let at_b = s * {{bn}}u + lane_n;
{{step}}
        }
        workgroupBarrier();
    }
{{write}}
}
