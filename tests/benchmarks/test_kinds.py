"""What kind of work an operation is, by made-up lines of compiled programs."""

import pytest

from benchmarks import kinds

NET = "jit(update)/jvp(CamNet)/backbone/b4"
BACK = "jit(update)/transpose(jvp(CamNet))/backbone/b4"


@pytest.mark.parametrize(
    "path, opcode, kind",
    [
        (f"{NET}/conv/conv_general_dilated", "convolution", kinds.FORWARD),
        (f"{NET}/conv/forward_tiles/dot_general", "dot", kinds.FORWARD),
        (
            f"{NET}/forward_tiles/transforms_of_tiles/prc,cr...->p.../dot_general",
            "dot",
            kinds.TILES,
        ),
        (
            f"{BACK}/conv/gradient_of_kernel/transpose()/conv_general_dilated",
            "convolution",
            kinds.KERNELS,
        ),
        (
            f"{BACK}/conv/gradient_of_kernel/cond/branch_1_fun/dot_general",
            "dot",
            kinds.KERNELS,
        ),
        (
            f"{BACK}/conv/gradient_of_input/cond/branch_1_fun/dot_general",
            "dot",
            kinds.INPUTS,
        ),
        (
            f"{BACK}/conv/gradient_of_input/transforms_of_tiles/stack",
            "concatenate",
            kinds.TILES,
        ),
        (f"{NET}/conv/one_tap/bhwc,cd->bhwd/dot_general", "dot", kinds.ONE_TAP),
        (f"{BACK}/conv/one_tap/bhwc,bhwd->cd/dot_general", "dot", kinds.ONE_TAP),
        (f"{BACK}/bn_branch2a/batch_norm/mul", "multiply", kinds.NORM),
        (f"{NET}/jit(relu)/max", "maximum", kinds.ELEMENTWISE),
        (f"{BACK}/select_n;{BACK}/add_any", "select", kinds.ELEMENTWISE),
        (f"{NET}/heads/bid,bjd->bij/dot_general", "dot", kinds.PRODUCTS),
        ("jit(update)/jvp(resize)/ih,bhwd->biwd/dot_general", "dot", kinds.RESIZING),
        (f"{BACK}/heads/resize/jw,bhwd->bhjd/dot_general", "dot", kinds.RESIZING),
        (f"{NET}/Dropout_0/jit(_bernoulli)/jit(_uniform)/add", "add", kinds.LOSS),
        ("jit(update)/jvp()/top_k", "sort", kinds.LOSS),
        ("jit(update)/transpose(jvp())/mul", "multiply", kinds.LOSS),
        ("jit(update)/jvp(jit(_where))/select_n", "select", kinds.LOSS),
        ("jit(update)/jvp(moving_average)/add", "add", kinds.UPDATE),
        ("jit(update)/optimizer/add", "add", kinds.UPDATE),
        ("", "copy", kinds.OTHER),
        ("state.params['conv']['kernel']", "copy", kinds.OTHER),
        # A gradient that does not say of what.
        (f"{BACK}/conv_general_dilated", "convolution", kinds.OTHER),
        ("", "dot", kinds.PRODUCTS),
        ("", "convolution", kinds.OTHER),
    ],
)
def test_kind_of_an_operation(path, opcode, kind):
    assert kinds.kind(path, opcode) == kind


PROGRAM = """HloModule jit_update, is_scheduled=true

%fused.1 (param_0: f32[2,3], param_1: f32[3,4]) -> f32[4,2] {
  %param_0 = f32[2,3]{1,0} parameter(0)
  %param_1 = f32[3,4]{1,0} parameter(1)
  %dot.1 = f32[2,4]{1,0} dot(%param_0, %param_1), metadata={op_name="jit(update)/a"}
  ROOT %turned.1 = f32[4,2]{1,0} transpose(%dot.1), dimensions={1,0}
}

%body.1 (state: (s32[], f32[4])) -> (s32[], f32[4]) {
  %state = (s32[], /*index=1*/f32[4]{0}) parameter(0)
  ROOT %step.1 = (s32[], /*index=1*/f32[4]{0}) tuple(%state, %state)
}

ENTRY %main.1 (x: f32[2,3], k: f32[3,4]) -> f32[4,2] {
  %x = f32[2,3]{1,0} parameter(0), metadata={op_name="state.x"}
  %k = f32[3,4]{1,0} parameter(1)
  %copy.0 = f32[3,4]{0,1} copy(%k)
  %fusion.1 = f32[4,2]{1,0} fusion(%x, %k), kind=kLoop, calls=%fused.1
  %loop.1 = (s32[], /*index=1*/f32[4]{0}) while(%x), condition=%c, body=%body.1
  %named.1 = f32[4,2]{1,0} add(%fusion.1, %k), metadata={op_name="jit(update)/b"}
  %reduce-window.1 = f32[4,2]{1,0} reduce-window(%named.1, %k), to_apply=%sum
  %dot.2 = f32[4,4]{1,0} dot(%named.1, %k)
  ROOT %copy.1 = f32[4,2]{0,1} copy(%reduce-window.1)
}
"""


def test_operations_of_a_program_have_paths_of_their_own_or_of_what_they_take():
    found = kinds.operations(PROGRAM)
    assert found["fusion.1"] == ("jit(update)/a", "dot")
    assert found["loop.1"] == ("", "while")
    assert found["named.1"] == ("jit(update)/b", "add")
    assert found["copy.1"] == ("jit(update)/b", "copy")
    assert found["copy.0"] == ("", "copy")
    assert found["dot.2"] == ("", "dot")


def test_kinds_add_up():
    known = {"a": kinds.Operation(f"{NET}/add", "add"), "b": kinds.Operation("", "dot")}
    found = kinds.add_up({"a": 1.0, "b": 2.0, "unknown": 4.0}, known)
    assert list(found) == list(kinds.KINDS)
    by_kind = {name: value for name, value in found.items() if value}
    assert by_kind == {kinds.ELEMENTWISE: 1.0, kinds.PRODUCTS: 2.0, kinds.OTHER: 4.0}
