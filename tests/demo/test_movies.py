"""Films in and out: colours, rotation, times, and files that are no films."""

import av
import numpy as np
import pytest
from films import COLOURS, greys, make_film, make_sound, patches, stripes

from demo.movies import describe_film, read_film, write_mp4


def frames_of(path, fps=10.0, start_s=0.0, length_s=10.0, side=1280):
    film = describe_film(path)
    length_s = min(length_s, film.duration_s - start_s)
    return list(read_film(film, fps, start_s, length_s, side))


def test_a_films_colours_are_those_of_bt_709_and_tagged_so(tmp_path) -> None:
    write_mp4(tmp_path / "film.mp4", [patches()] * 5, 10, "notice")
    with av.open(str(tmp_path / "film.mp4")) as film:
        frame = next(film.decode(video=0))
        assert film.metadata["comment"] == "notice"
    tags = (frame.colorspace, frame.color_primaries, frame.color_trc, frame.color_range)
    assert tags == (1, 1, 1, 1)
    planes = frame.to_ndarray().astype(float)  # 64 rows of Y, then U, then V at half the size
    y = planes[:64]
    u, v = (planes[a:b].reshape(32, 96).repeat(2, 0).repeat(2, 1) for a, b in ((64, 80), (80, 96)))
    # ITU-R BT.709 with limited range: Y' in 16..235, Cb and Cr in 16..240
    y, u, v = (y - 16) / 219, (u - 128) / 224, (v - 128) / 224
    red, blue = y + 1.5748 * v, y + 1.8556 * u
    green = (y - 0.2126 * red - 0.0722 * blue) / 0.7152
    by_formula = 255 * np.stack([red, green, blue], axis=-1)
    for rgb in (by_formula, frames_of(tmp_path / "film.mp4")[0]):
        assert np.abs(stripes(rgb) - COLOURS).max() < 3


def test_without_tags_a_small_film_is_taken_for_bt_601(tmp_path) -> None:
    path = make_film(tmp_path / "old.mp4", [patches()] * 3)  # swscale's default matrix is BT.601
    assert np.abs(stripes(frames_of(path)[0]) - COLOURS).max() < 3


def test_diffuse_white_of_an_hdr_film_is_white(tmp_path) -> None:
    """At 75 % of the signal in HLG, ITU-R BT.2408; taken for SDR it would be grey, 191."""
    with av.open(str(tmp_path / "hdr.mkv"), "w") as film:
        stream = film.add_stream("ffv1", 10)
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p10le"
        context = stream.codec_context
        context.color_primaries = context.colorspace = 9  # BT.2020
        context.color_trc, context.color_range = 18, 1  # HLG, limited range
        white = np.full((64, 64, 3), 0.75 * 65535, np.uint16)
        frame = av.VideoFrame.from_ndarray(white, "rgb48le")
        frame = frame.reformat(format="yuv420p10le", dst_colorspace=9, dst_color_range=1)
        film.mux(stream.encode(frame))
        film.mux(stream.encode(None))
    assert frames_of(tmp_path / "hdr.mkv")[0].mean() == pytest.approx(254, abs=2)


@pytest.mark.parametrize("turned", [90, -90, 180])
def test_a_film_of_a_turned_phone_is_upright(tmp_path, turned) -> None:
    """A person holds the phone upright: what it wrote is turned back by the file's matrix."""
    upright = np.full((64, 96, 3), 128, np.uint8)
    upright[:24, :24] = (230, 20, 20)
    stored = np.rot90(upright, -turned // 90)
    film = make_film(tmp_path / "phone.mp4", [stored] * 3, turned=turned)
    assert describe_film(film)[1:3] == (96, 64)
    assert np.abs(frames_of(film)[0].astype(int) - upright).mean() < 4


def test_odd_sizes_are_read_whole_and_written_without_the_last_row(tmp_path) -> None:
    path = make_film(tmp_path / "odd.mkv", greys([60, 90], 33, 47), codec="ffv1", pix_fmt="bgr0")
    frames = frames_of(path)
    assert [frame.shape for frame in frames] == [(33, 47, 3)] * 2
    assert [int(frame.mean()) for frame in frames] == [60, 90]
    write_mp4(tmp_path / "even.mp4", frames, 10, "notice")
    assert describe_film(tmp_path / "even.mp4")[1:3] == (46, 32)
    assert frames_of(path, side=24)[0].shape == (17, 24, 3)


def test_a_varying_rate_keeps_its_speed(tmp_path) -> None:
    levels, times = [20, 80, 140, 200], [0, 100, 500, 600]
    path = make_film(tmp_path / "varying.mkv", greys(levels), times, codec="ffv1", pix_fmt="bgr0")
    frames = frames_of(path)
    # At 0, 0.1, ... s the latest frame: the second one stands from 0.1 to 0.5 s.
    assert [int(frame[0, 0, 0]) for frame in frames[:7]] == [20, 80, 80, 80, 80, 140, 200]
    assert frames[1] is frames[2]
    assert [int(f[0, 0, 0]) for f in frames_of(path, 5, 0.2, 0.6)] == [80, 80, 200]


def test_a_cut_begins_in_the_middle(tmp_path) -> None:
    path = make_film(tmp_path / "long.mp4", greys(range(20, 220, 4)))  # 50 frames in 5 s
    film = describe_film(path)
    assert (film.duration_s, film.fps) == pytest.approx((5.0, 10.0))
    frames = frames_of(path, 10, 3.0, 0.5)
    assert [frame.mean() for frame in frames] == pytest.approx([140, 144, 148, 152, 156], abs=2)


def test_what_is_no_film_is_refused_in_words(tmp_path) -> None:
    (tmp_path / "letter.mp4").write_bytes(b"Dear diary")
    (tmp_path / "empty.mp4").write_bytes(b"")
    whole = make_film(tmp_path / "whole.mp4", [patches()] * 9).read_bytes()
    (tmp_path / "cut.mp4").write_bytes(whole[: len(whole) // 2])  # its index was at the end
    # Playlists, which would have FFmpeg open other files of the server.
    (tmp_path / "list.mp4").write_text("ffconcat version 1.0\nfile whole.mp4\n")
    (tmp_path / "list.webm").write_text("#EXTM3U\n#EXTINF:1,\nwhole.mp4\n#EXT-X-ENDLIST\n")
    make_sound(tmp_path / "sound.m4a")
    make_film(tmp_path / "tiny.mkv", greys([60], 8, 40), codec="ffv1", pix_fmt="bgr0")
    for name, match in (
        ("letter.mp4", "damaged"),
        ("empty.mp4", "damaged"),
        ("cut.mp4", "damaged"),
        ("list.mp4", "damaged"),
        ("list.webm", "damaged"),
        ("nothing.mp4", "damaged"),
        ("sound.m4a", "no pictures"),
        ("tiny.mkv", "40 x 8|8 x 40"),
    ):
        with pytest.raises(ValueError, match=match) as refused:
            describe_film(tmp_path / name)
        assert name in str(refused.value) and str(tmp_path) not in str(refused.value)


def test_of_a_film_that_is_cut_off_the_beginning_is_read(tmp_path) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (20, 48, 64, 3), np.uint8)
    path = make_film(tmp_path / "whole.mkv", list(noise), codec="ffv1", pix_fmt="bgr0")
    data = path.read_bytes()
    (tmp_path / "half.mkv").write_bytes(data[: len(data) // 2])
    frames = frames_of(tmp_path / "half.mkv")
    assert 5 <= len(frames) <= 11
    assert np.array_equal(frames[0], noise[0])
