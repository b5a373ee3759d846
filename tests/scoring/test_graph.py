import pytest
from onnx import TensorProto, helper, load_model_from_string

from deepfake_detector.core.errors import ModelSchemaError
from deepfake_detector.scoring.card import CardOutputs
from deepfake_detector.scoring.graph import check_graph


def with_input(data, elem_type=TensorProto.UINT8, shape=("N", 32, 32, 3)):
    model = load_model_from_string(data)
    model.graph.input[0].CopyFrom(helper.make_tensor_value_info("image", elem_type, shape))
    return model.SerializeToString()


def with_output(data, index, elem_type, shape):
    model = load_model_from_string(data)
    value = model.graph.output[index]
    value.CopyFrom(helper.make_tensor_value_info(value.name, elem_type, shape))
    return model.SerializeToString()


def test_a_graph_that_fits_its_card_passes(tiny_model, tiny_card):
    check_graph(tiny_model(), tiny_card())
    check_graph(tiny_model(64), tiny_card(64))


def test_a_card_may_leave_out_outputs(tiny_model, tiny_card):
    check_graph(tiny_model(), tiny_card().model_copy(update={"outputs": CardOutputs()}))


@pytest.mark.parametrize("shape", [None, ("batch", 32, 32, 3), (None, 32, 32, 3)])
def test_a_batch_of_any_name_is_free(tiny_model, tiny_card, shape):
    check_graph(with_input(tiny_model(), shape=shape or ("N", 32, 32, 3)), tiny_card())


@pytest.mark.parametrize(
    "shape", [("N", 64, 64, 3), ("N", 3, 32, 32), ("N", 32, 32, 1), ("N", 32, 32), (1, 32, 32, 3), ("N", "h", "w", 3)]
)
def test_another_input_shape_is_refused(tiny_model, tiny_card, shape):
    with pytest.raises(ModelSchemaError, match=r"the card says \(N, 32, 32, 3\)"):
        check_graph(with_input(tiny_model(), shape=shape), tiny_card())


def test_another_input_type_is_refused(tiny_model, tiny_card):
    with pytest.raises(ModelSchemaError, match="takes float; it must take uint8"):
        check_graph(with_input(tiny_model(), TensorProto.FLOAT), tiny_card())


@pytest.mark.parametrize("count", [0, 2])
def test_one_input_is_the_rule(tiny_model, tiny_card, count):
    model = load_model_from_string(tiny_model())
    del model.graph.input[:]
    for number in range(count):
        model.graph.input.append(helper.make_tensor_value_info(f"i{number}", TensorProto.UINT8, ["N", 32, 32, 3]))
    with pytest.raises(ModelSchemaError, match=f"has {count} inputs"):
        check_graph(model.SerializeToString(), tiny_card())


def test_weights_that_older_exporters_list_as_inputs_do_not_count(tiny_model, tiny_card):
    model = load_model_from_string(tiny_model())
    model.graph.input.append(helper.make_tensor_value_info("fake_bias", TensorProto.FLOAT, []))
    check_graph(model.SerializeToString(), tiny_card())


@pytest.mark.parametrize("role", ["fake_logit", "kind_logit", "cam", "features"])
def test_an_output_that_is_not_there_is_named(tiny_model, tiny_card, role):
    card = tiny_card()
    outputs = card.outputs.model_copy(update={role: "elsewhere"})
    with pytest.raises(ModelSchemaError, match=f"{role} comes from the output 'elsewhere'"):
        check_graph(tiny_model(), card.model_copy(update={"outputs": outputs}))


@pytest.mark.parametrize(
    ("index", "elem_type", "shape", "message"),
    [
        (0, TensorProto.DOUBLE, ["N"], "fake_logit is double"),
        (0, TensorProto.FLOAT, ["N", 1], "fake_logit has the shape"),
        (1, TensorProto.FLOAT, [], "kind_logit has the shape"),
        (2, TensorProto.FLOAT, ["N", 4, 4, 1], "cam has the shape"),
        (3, TensorProto.FLOAT, ["N"], "features has the shape"),
    ],
)
def test_an_output_of_another_form_is_refused(tiny_model, tiny_card, index, elem_type, shape, message):
    with pytest.raises(ModelSchemaError, match=message):
        check_graph(with_output(tiny_model(), index, elem_type, shape), tiny_card())
