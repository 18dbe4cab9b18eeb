"""The renderer: meshes in, colour and exact depth out. The only module that knows MuJoCo.

MuJoCo 4 brings Filament as `mujoco.mjrf`: physically based materials, soft shadows and ambient
occlusion, through Vulkan, on a GPU or on the CPU (Mesa's lavapipe). An error aborts the
process, so it belongs into worker processes.
"""

import contextlib
import ctypes
import importlib
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, UInt8
from numpy import ndarray

from depthpro.scenes.mesh import Mesh, unit
from depthpro.scenes.sky import Light, encode_ktx, horizon_colour
from depthpro.scenes.textures import SIDE, Material, draw_pattern

NEAR_M, FAR_M = 0.03, 3000.0


class View(NamedTuple):
    """A pinhole camera. Pixels need not be square: `aspect` is that of the picture as taken."""

    at: Float[ndarray, " 3"]
    towards: Float[ndarray, " 3"]
    roll: float
    fov_deg: float
    """Horizontal."""
    aspect: float
    """Width over height on the image plane."""


def require_renderer() -> Any:
    """Return MuJoCo's module for rendering.

    Raises:
        ValueError: If MuJoCo or Vulkan is missing, with the command that installs it.
    """
    try:
        importlib.import_module("mujoco.studio")  # first: it sets the folder of the material files
        api = importlib.import_module("mujoco.mjrf")
        ctypes.CDLL("libvulkan.so.1")
    except ImportError as error:
        raise ValueError(
            f"rendering scenes needs mujoco 4.0.0: pip install mujoco==4.0.0 ({error})"
        ) from error
    except OSError as error:
        raise ValueError(
            "rendering scenes needs Vulkan: "
            f"apt-get install -y libvulkan1 mesa-vulkan-drivers ({error})"
        ) from error
    return api


class Engine:
    """A Vulkan device with targets of one size. One per process."""

    def __init__(self, size: int) -> None:
        """Open the device for pictures of `size` x `size`.

        Raises:
            ValueError: If MuJoCo or Vulkan is missing.
        """
        self.size = size
        self.api = api = require_renderer()
        vulkan = api.ContextConfig(graphics_api=api.GraphicsApi.GRAPHICS_API_VULKAN)
        self.context = api.Context(vulkan)
        self.rgb = np.zeros((size, size, 3), np.uint8)
        self.inverse = np.zeros((size, size), np.float32)
        self.targets = [
            self._target(api.PixelFormat.PIXEL_FORMAT_RGB8, self.rgb),
            self._target(api.PixelFormat.PIXEL_FORMAT_R32F, self.inverse),
        ]
        self._patterns: dict[tuple[str, int], Any] = {}

    def _target(self, pixel_format: Any, buffer: ndarray) -> tuple[Any, Any]:
        """Return a render target and the request that reads it into `buffer`."""
        size = self.size
        config = self.api.RenderTargetConfig(width=size, height=size, color_format=pixel_format)
        target = self.context.create_render_target(config)
        target.resize(size, size)
        request = self.api.ReadRequest(target=target)
        request.set_buffer(buffer)
        return target, request

    @contextlib.contextmanager
    def load(self, parts: dict[Material, Mesh], light: Light) -> Iterator["GpuScene"]:
        """Yield a scene ready to be rendered, and free it at the end."""
        scene = GpuScene(self, parts, light)
        try:
            yield scene
        finally:
            scene.free()

    def pattern(self, material: Material) -> Any:
        """Return the texture of a material's pattern; drawn and sent once."""
        key = (material.pattern, material.variant)
        if key not in self._patterns:
            pixels, api = draw_pattern(*key), self.api
            form, space = api.PixelFormat.PIXEL_FORMAT_RGB8, api.ColorSpace.COLORSPACE_SRGB
            kind = api.SamplerType.TEXTURE_2D
            config = api.TextureConfig(
                width=SIDE, height=SIDE, format=form, color_space=space, sampler_type=kind
            )
            self._patterns[key] = self._upload(config, pixels.tobytes())
        return self._patterns[key]

    def cube(self, cube: Float[ndarray, "6 face face 3"]) -> Any:
        """Return a cube map on the device."""
        content, api = encode_ktx(cube), self.api
        form, kind = api.PixelFormat.PIXEL_FORMAT_KTX, api.SamplerType.TEXTURE_CUBE
        config = api.TextureConfig(width=len(content), height=0, format=form, sampler_type=kind)
        return self._upload(config, content)

    def _upload(self, config: Any, content: bytes) -> Any:
        texture, data = self.context.create_texture(config), self.api.TextureData()
        data.set_image(content)
        texture.upload(data)
        return texture


class GpuScene:
    """A scene on the device. References are kept here, since the renderer holds bare pointers."""

    def __init__(self, engine: Engine, parts: dict[Material, Mesh], light: Light) -> None:
        """Send meshes, materials and lights."""
        self._engine, self._api, self._context = engine, engine.api, engine.context
        self._kept: list[Any] = []
        self._pending: list[Any] = []
        self._scene: Any = self._context.create_scene(self._api.SceneParams())
        self._scene.set_msaa(4)
        self._configure(light)
        for material, mesh in parts.items():
            self._add_part(material, mesh)
        self._add_light(light)

    def colour(self, view: View) -> UInt8[ndarray, "size size 3"]:
        """Return the picture in sRGB, antialiased."""
        self._render(view, depth=False)
        return self._engine.rgb.copy()

    def depth(self, view: View) -> Float[ndarray, "size size"]:
        """Return z in metres at the pixels' centres, infinite where nothing is.

        Not antialiased: no depth lies between those of two surfaces.
        """
        self._render(view, depth=True)
        v = self._engine.inverse.astype(np.float64)
        depth = NEAR_M * FAR_M / (v * (FAR_M - NEAR_M) + NEAR_M)
        return np.where(v > 0, depth, np.inf).astype(np.float32)

    def _render(self, view: View, depth: bool) -> None:
        """Fill the engine's buffer of depth or of colour."""
        engine, api = self._engine, self._api
        target, read = engine.targets[depth]
        modes = api.DrawMode.DRAW_MODE_DEFAULT, api.DrawMode.DRAW_MODE_DEPTH
        request = api.RenderRequest()
        request.scene, request.target, request.camera = self._scene, target, self._camera(view)
        request.viewport = api.Rect(0, 0, engine.size, engine.size)
        request.draw_mode = modes[depth]
        request.post_processing = request.shadows = request.skybox = not depth
        request.haze = request.reflections = False
        self._context.wait_for_frame(self._context.render([request], [read]))
        self._free_mesh_data()  # the renderer reads it up to the first frame

    def free(self) -> None:
        """Free the scene before what it points to."""
        self._free_mesh_data()
        self._context.flush()
        self._scene = None
        self._kept.clear()

    def _free_mesh_data(self) -> None:
        while self._pending:
            self._pending.pop(0).free()

    def _camera(self, view: View) -> Any:
        ahead = unit(view.towards)
        right = unit(np.cross(ahead, [0, 0, 1]))
        up = np.cross(right, ahead) * np.cos(view.roll) + right * np.sin(view.roll)
        half = NEAR_M * np.tan(np.radians(view.fov_deg) / 2)
        return self._api.Camera(
            pos=_floats(view.at), forward=_floats(ahead), up=_floats(up), frustum_width=half,
            frustum_bottom=-half / view.aspect, frustum_top=half / view.aspect,
            frustum_near=NEAR_M, frustum_far=FAR_M,
        )  # fmt: skip

    def _configure(self, light: Light) -> None:
        """Set film-like tones and haze, which the renderer takes from a MuJoCo model only.

        Far things fade to the colour of the horizon; the sky is beyond the haze.
        """
        mujoco: Any = importlib.import_module("mujoco")
        numbers: dict[str, Any] = {"cg.saturation": 0.88}
        if np.isfinite(light.haze_m):
            colour = " ".join(f"{value:.4f}" for value in horizon_colour(light.cube))
            numbers |= {"fog.enabled": 1, "fog.density": 1 / light.haze_m, "fog.color": colour,
                        "fog.height_falloff": 0, "fog.cut_off_distance": FAR_M}  # fmt: skip
        xml = "".join(f'<numeric name="filament.{k}" data="{v}"/>' for k, v in numbers.items())
        for name, text in (("cg.tone_mapping", "filmic"), ("ao.quality", "medium")):
            xml += f'<text name="filament.{name}" data="{text}"/>'
        xml = f"<mujoco><custom>{xml}</custom><worldbody/></mujoco>"
        self._scene.configure_from_model(mujoco.MjModel.from_xml_string(xml))

    def _add_part(self, material: Material, mesh: Mesh) -> None:
        api = self._api
        params = api.RenderableParams(cast_shadow=material.glow == 0, receive_shadow=True)
        renderable = self._context.create_renderable(params)
        device_mesh = self._send(mesh, material.tile_m)
        renderable.set_mesh(device_mesh, 0, mesh.faces.size)
        look = api.Material()
        look.color = _floats([*material.tint, 1])
        look.roughness, look.metallic = material.roughness, material.metallic
        look.emissive = material.glow
        look.color_texture = texture = self._engine.pattern(material)
        renderable.set_material(look)
        renderable.set_pose(_floats([0, 0, 0]), _floats(np.eye(3).ravel()))
        renderable.set_size(_floats([1, 1, 1]))
        self._scene.add_renderable(renderable)
        self._kept += [device_mesh, renderable, texture]

    def _send(self, mesh: Mesh, tile_m: float) -> Any:
        """Return the mesh on the device: positions, tangent frames as quaternions, uv."""
        api, n = self._api, np.asarray(mesh.normals)
        # The quaternion that turns z onto the normal; straight down it is a half turn about x.
        frames = np.stack([-n[:, 1], n[:, 0], 0 * n[:, 0], 1 + n[:, 2]], axis=1)
        frames[n[:, 2] < -0.9999] = [1, 0, 0, 0]
        vertices = np.hstack([mesh.points, unit(frames), mesh.uv / tile_m])
        usage, kind = api.VertexAttributeUsage, api.VertexAttributeType
        layout = (
            (usage.VERTEX_ATTRIBUTE_USAGE_POSITION, kind.VERTEX_ATTRIBUTE_TYPE_FLOAT3),
            (usage.VERTEX_ATTRIBUTE_USAGE_TANGENTS, kind.VERTEX_ATTRIBUTE_TYPE_FLOAT4),
            (usage.VERTEX_ATTRIBUTE_USAGE_UV, kind.VERTEX_ATTRIBUTE_TYPE_FLOAT2),
        )
        config = api.MeshConfig(
            max_vertices=len(vertices),
            max_indices=mesh.faces.size,
            attributes=[api.VertexAttribute(*pair) for pair in layout],
            interleaved=True,
            index_type=api.IndexType.INDEX_TYPE_U32,
            primitive_type=api.MeshPrimitiveType.MESH_PRIMITIVE_TYPE_TRIANGLES,
        )
        device_mesh, data = self._context.create_mesh(config), api.MeshData(compute_bounds=True)
        data.set_vertices(config, np.ascontiguousarray(vertices, np.float32).tobytes())
        data.set_indices(config, np.ascontiguousarray(mesh.faces, np.uint32).tobytes())
        device_mesh.upload(data)
        self._pending.append(data)
        return device_mesh

    def _add_light(self, light: Light) -> None:
        """Add the environment, the sky that is seen, the sun and the lamps."""
        kinds, cube = self._api.LightType, self._engine.cube
        around = cube(light.cube)
        behind = around if light.backdrop is None else cube(light.backdrop)
        self._kept += [around, behind]
        self._shine(kinds.LIGHT_IMAGE, light.lux, texture=around)
        self._scene.set_skybox(behind)
        if sun := light.sun:
            self._shine(kinds.LIGHT_DIRECTIONAL, sun.lux, sun.colour, towards=-sun.towards,
                        cast_shadow=True, shadow_map_size=1024)  # fmt: skip
        for lamp in light.lamps:
            self._shine(kinds.LIGHT_SPOT, lamp.candela, lamp.colour, lamp.at, lamp.towards,
                        cast_shadow=True, shadow_map_size=512, cutoff=85.0, softness=0.5,
                        range=30.0)  # fmt: skip

    def _shine(
        self,
        kind: Any,
        intensity: float,
        colour: Any = (1, 1, 1),
        at: Any = (0, 0, 0),
        towards: Any = (0, 0, -1),
        **settings: Any,
    ) -> None:
        """Add a light; `settings` are those of the renderer's `LightParams`."""
        params = self._api.LightParams(
            type=kind, color=_floats(colour), intensity=intensity, **settings
        )
        light = self._context.create_light(params)
        light.set_pose(_floats(at), _floats(unit(towards)))
        self._scene.add_light(light)
        self._kept.append(light)


def _floats(values: Any) -> ndarray:
    return np.ascontiguousarray(values, dtype=np.float32)
