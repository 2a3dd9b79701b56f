// Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011).
fn philox(start: vec4<u32>, seed: vec2<u32>) -> vec4<u32> {
    var c = start;
    var key = seed;
    for (var round = 0; round < 10; round = round + 1) {
        let high0 = rt_mulhi(0xd2511f53u, c.x);
        let high1 = rt_mulhi(0xcd9e8d57u, c.z);
        c = vec4<u32>(high1 ^ c.y ^ key.x, 0xcd9e8d57u * c.z, high0 ^ c.w ^ key.y, 0xd2511f53u * c.x);
        key = key + vec2<u32>(0x9e3779b9u, 0xbb67ae85u);
    }
    return c;
}

{{draw}}

// A lane draws four numbers at a time and hands them to elements a whole grid apart; `virtual` lanes make up the grid,
// so the numbers depend on the seed and the size only, not on the device.
@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let at = (group.y * groups.x + group.x) * 256u + lane;
    if (at >= $lanes) { return; }
    var step = 0u;
    for (var base = at; base < $n; base = base + 4u * $lanes) {
        let low = $counter_low + step;
        let high = $counter_high + select(0u, 1u, low < step);
        let four = draw(philox(vec4<u32>(low, high, at, 0u), vec2<u32>($seed_low, $seed_high)));
        for (var k = 0u; k < 4u; k = k + 1u) {
            let to = base + k * $lanes;
            if (to < $n) {
                let x = four[k];
                b0[$o0 + to] = {{store}};
            }
        }
        step = step + 1u;
    }
}
