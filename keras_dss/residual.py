"""The end of a residual block on torch: some rows after another, which stay in the cache.

    y = x + g W + b,   or with a gated linear unit   y = x + p * sigmoid(q),  [p, q] = g W + b,

where g = gelu(h). Each operation by itself would read and write whole sequences in memory, and the
gradient keep what it needs of each. Here it keeps h alone, and computes the rest again.
"""

from keras import ops

from keras_dss.gradients import with_gradient

PIECE = 2**17  # numbers of the rows that a thread goes through at a time


def add_mix(x, h, kernel, bias, gated):
    """x + mix(gelu(h)) of the equations above.

    Args:
        x, h: tensors of torch (..., H). kernel: (H, H), or (H, 2H) if gated. bias: (H,) or (2H,).

    Returns:
        (..., H).
    """
    import torch

    gelu = torch.nn.functional.gelu

    def plain(x, h, kernel, bias):
        z = gelu(h) @ kernel + bias
        return x + (torch.nn.functional.glu(z) if gated else z)

    def parts(*tensors):
        """The same rows of each tensor, some after others."""
        rows = max(1, PIECE * torch.get_num_threads() // kernel.shape[1])
        return zip(*(t.reshape(-1, t.shape[-1]).split(rows) for t in tensors), strict=True)

    def in_parts(x, h, kernel, bias):
        outputs = x.new_empty(x.shape)

        def gradient(dy):
            dh = h.new_empty(h.shape)
            dkernel, dbias = (w.new_zeros(w.shape) for w in (kernel, bias))
            for h_part, dz, dh_part in parts(h, dy, dh):
                g = gelu(h_part)
                if gated:
                    dz = through_gate(dz, *torch.addmm(bias, g, kernel).chunk(2, dim=-1))
                dkernel.addmm_(g.T, dz)
                dbias.add_(dz.sum(dim=0))
                torch.ops.aten.gelu_backward.grad_input(dz @ kernel.T, h_part, grad_input=dh_part)
            return [dy, dh, dkernel, dbias]

        for x_part, h_part, y in parts(x, h, outputs):
            if gated:
                p, q = torch.addmm(bias, gelu(h_part), kernel).chunk(2, dim=-1)
                torch.addcmul(x_part, p, q.sigmoid_(), out=y)
            else:
                torch.addmm(x_part, gelu(h_part), kernel, out=y).add_(bias)
        return outputs, gradient

    def through_gate(dy, p, q):
        """dp = dy s,   dq = dy s (1 - s) p,   s = sigmoid(q)."""
        s = q.sigmoid()
        dz = torch.cat([dy * s, p * (1.0 - s)], dim=-1)
        dp, dq = dz.chunk(2, dim=-1)
        dq.mul_(dp)
        return dz

    return with_gradient(in_parts, plain, [ops.convert_to_tensor(t) for t in (x, h, kernel, bias)])
