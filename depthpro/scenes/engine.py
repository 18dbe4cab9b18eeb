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
from depthpro.scenes.sky import Light, cube_directions, encode_ktx
from depthpro.scenes.textures import SIDE, Material, draw_pattern

NEAR_M, FAR_M = 0.03, 3000.0


class View(NamedTuple):
    """A pinhole camera."""

    at: Float[ndarray, " 3"]
    towards: Float[ndarray, " 3"]
    roll: float
    fov_deg: float  # horizontal
    aspect: float  # width over height of the picture as framed; pixels need not be square


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
        """Open the device for pictures of `size` x `size`."""
        self.size = size
        self.api = api = require_renderer()
        vulkan = api.ContextConfig(graphics_api=api.GraphicsApi.GRAPHICS_API_VULKAN)
        self.context = api.Context(vulkan)
        self.rgb = np.zeros((size, size, 3), np.uint8)
        self.inverse = np.zeros((size, size), np.float32)
        self.targets, formats = [], api.PixelFormat
        buffers = {formats.PIXEL_FORMAT_RGB8: self.rgb, formats.PIXEL_FORMAT_R32F: self.inverse}
        for form, buffer in buffers.items():
            config = api.RenderTargetConfig(width=size, height=size, color_format=form)
            target = self.context.create_render_target(config)
            target.resize(size, size)
            request = api.ReadRequest(target=target)
            request.set_buffer(buffer)
            self.targets.append((target, request))
        self._patterns: dict[tuple[str, int], Any] = {}

    @contextlib.contextmanager
    def load(self, parts: dict[Material, Mesh], light: Light) -> Iterator["GpuScene"]:
        """Yield a scene on the device, and free it at the end."""
        scene = GpuScene(self, parts, light)
        try:
            yield scene
        finally:
            scene.free()

    def pattern(self, material: Material) -> Any:
        """Return the texture of a material's pattern; drawn and sent once."""
        key, api = (material.pattern, material.variant), self.api
        if key not in self._patterns:
            self._patterns[key] = self._texture(
                draw_pattern(*key).tobytes(),
                width=SIDE,
                height=SIDE,
                format=api.PixelFormat.PIXEL_FORMAT_RGB8,
                color_space=api.ColorSpace.COLORSPACE_SRGB,
                sampler_type=api.SamplerType.TEXTURE_2D,
            )
        return self._patterns[key]

    def cube(self, cube: Float[ndarray, "6 face face 3"]) -> Any:
        """Return a cube map on the device."""
        content, form = encode_ktx(cube), self.api.PixelFormat.PIXEL_FORMAT_KTX
        kind = self.api.SamplerType.TEXTURE_CUBE
        return self._texture(content, width=len(content), height=0, format=form, sampler_type=kind)

    def _texture(self, content: bytes, **config: Any) -> Any:
        texture = self.context.create_texture(self.api.TextureConfig(**config))
        data = self.api.TextureData()
        data.set_image(content)
        texture.upload(data)
        return texture


class GpuScene:
    """A scene on the device."""

    def __init__(self, engine: Engine, parts: dict[Material, Mesh], light: Light) -> None:
        """Send meshes, materials and lights."""
        self._engine, self._api, self._context = engine, engine.api, engine.context
        self._kept: list[Any] = []  # the renderer holds bare pointers
        self._mesh_data: list[Any] = []
        self._scene: Any = self._context.create_scene(self._api.SceneParams())
        self._scene.set_msaa(4)
        self._configure(light)
        for material, mesh in parts.items():
            self._add_part(material, mesh)
        self._add_lights(light)

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
        request = api.RenderRequest(
            scene=self._scene,
            target=target,
            camera=self._camera(view),
            viewport=api.Rect(0, 0, engine.size, engine.size),
            draw_mode=api.DrawMode.DRAW_MODE_DEPTH if depth else api.DrawMode.DRAW_MODE_DEFAULT,
            post_processing=not depth,
            shadows=not depth,
            skybox=not depth,
            haze=False,
            reflections=False,
        )
        self._context.wait_for_frame(self._context.render([request], [read]))

    def free(self) -> None:
        """Free the scene before what it points to."""
        self._context.flush()
        for data in self._mesh_data:
            data.free()
        self._scene = None
        self._kept.clear()

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
            up = cube_directions(light.cube.shape[1])[..., 2]
            horizon = light.cube[(up > 0.02) & (up < 0.12)].mean(axis=0)
            colour = " ".join(f"{value:.4f}" for value in horizon)
            numbers |= {"fog.enabled": 1, "fog.density": 1 / light.haze_m, "fog.color": colour,
                        "fog.height_falloff": 0, "fog.cut_off_distance": FAR_M}  # fmt: skip
        xml = "".join(f'<numeric name="filament.{k}" data="{v}"/>' for k, v in numbers.items())
        xml += '<text name="filament.cg.tone_mapping" data="filmic"/>'
        xml += '<text name="filament.ao.quality" data="medium"/>'
        xml = f"<mujoco><custom>{xml}</custom><worldbody/></mujoco>"
        self._scene.configure_from_model(mujoco.MjModel.from_xml_string(xml))

    def _add_part(self, material: Material, mesh: Mesh) -> None:
        api = self._api
        params = api.RenderableParams(cast_shadow=material.glow == 0, receive_shadow=True)
        renderable = self._context.create_renderable(params)
        device_mesh, texture = self._send(mesh, material.tile_m), self._engine.pattern(material)
        renderable.set_mesh(device_mesh, 0, mesh.faces.size)
        surface = api.Material(
            color=_floats([*material.tint, 1]),
            color_texture=texture,
            roughness=material.roughness,
            metallic=material.metallic,
            emissive=material.glow,
        )
        renderable.set_material(surface)
        self._scene.add_renderable(renderable)
        self._kept += [device_mesh, renderable, texture]

    def _send(self, mesh: Mesh, tile_m: float) -> Any:
        """Return the mesh on the device: positions, tangent frames as quaternions, uv."""
        api, n = self._api, mesh.normals
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
        data.set_vertices(config, vertices.astype(np.float32).tobytes())
        data.set_indices(config, mesh.faces.astype(np.uint32).tobytes())
        device_mesh.upload(data)
        self._mesh_data.append(data)
        return device_mesh

    def _add_lights(self, light: Light) -> None:
        """Add the environment, the sky that is seen, the sun and the lamps."""
        api, kinds = self._api, self._api.LightType
        around = self._engine.cube(light.cube)
        behind = around if light.backdrop is None else self._engine.cube(light.backdrop)
        self._kept += [around, behind]
        self._scene.set_skybox(behind)
        image = api.LightParams(type=kinds.LIGHT_IMAGE, intensity=light.lux, texture=around)
        self._add_light(image)
        for lamp in light.lamps:
            params = api.LightParams(
                type=kinds.LIGHT_SPOT,
                color=_floats(lamp.colour),
                intensity=lamp.intensity,
                cast_shadow=True,
                shadow_map_size=512,
                cutoff=85.0,
                softness=0.5,
                range=30.0,
            )
            if lamp.at is None:
                params.type, params.shadow_map_size = kinds.LIGHT_DIRECTIONAL, 1024
            self._add_light(params, lamp.at, lamp.towards)

    def _add_light(self, params: Any, at: ndarray | None = None, towards: Any = (0, 0, -1)) -> None:
        lamp = self._context.create_light(params)
        lamp.set_pose(_floats((0, 0, 0) if at is None else at), _floats(unit(towards)))
        self._scene.add_light(lamp)
        self._kept.append(lamp)


def _floats(values: Any) -> ndarray:
    return np.ascontiguousarray(values, dtype=np.float32)
