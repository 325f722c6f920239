"""A dialogue as one text, for stages that compare texts."""

import pyarrow as pa
import pyarrow.compute as pc


def dialogue_texts(messages: pa.Array) -> pa.Array:
    r"""The turns' contents of each dialogue, a blank line between them, as large_string; roles are left out.

    A missing content is an empty turn; a dialogue without turns, or none at all, is an empty text.

    >>> turns = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Ho"}]
    >>> dialogue_texts(pa.array([turns, None, []])).to_pylist()
    ['Hi\n\nHo', '', '']
    """
    if isinstance(messages, pa.ChunkedArray):
        messages = messages.combine_chunks()
    sizes = pc.fill_null(pc.list_value_length(messages), 0).to_numpy(zero_copy_only=False)
    if not sizes.sum():
        return pa.repeat(pa.scalar("", pa.large_string()), len(messages))
    contents = pc.fill_null(pc.struct_field(messages.flatten(), "content").cast(pa.large_string()), "")
    offsets = pa.array([0, *sizes.cumsum().tolist()], pa.int64())
    return pc.binary_join(
        pa.LargeListArray.from_arrays(offsets, contents), pa.scalar("\n\n", pa.large_string())
    )
